"""Who did what, and who was refused: told in one chain, which shows it when somebody meddles with it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from bot.rotation.audit import Kind
from bot.rotation.states import State
from bot.storage.embedded import embedded_server
from sandbox.slack import Message
from tests.support.process import ran
from tests.support.stage import NEW_SECRET, OLD_SECRET, Stage


async def told(stage: Stage) -> list[dict[str, Any]]:
    """The audit trail."""
    assert stage.built is not None
    return [json.loads(line) async for line in stage.built.store.trail()]


async def verify(stage: Stage, folder: Path, *more: str) -> tuple[int, str]:
    """`python -m bot audit verify`, by somebody who knows where Redis is and nothing else."""
    return await ran({"REDIS_URL": stage.redis_url}, folder, "audit", "verify", *more)


async def rotated(stage: Stage) -> Message:
    """A whole rotation, with a click by a guest and one that comes too late."""
    card = await stage.ask()
    await stage.press("Cancel", card, who="U_GUEST")
    await stage.told("U_GUEST", "Guests cannot use Keyturn")
    await stage.give(card)
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")
    await stage.says(card, "old key deleted")
    assert stage.built is not None
    await stage.slack.person("U_APPROVER").click("Roll back", card, stale=True)
    await stage.told("U_APPROVER", "no longer applies")
    return card


@pytest.fixture
async def after(stage: Stage) -> tuple[Stage, Message]:
    return stage, await rotated(stage)


async def test_the_trail_explains_the_record_and_holds_no_secret(after: tuple[Stage, Message], tmp_path: Path) -> None:
    stage, _ = after
    trail, record = await told(stage), await stage.record()
    changes = [entry for entry in trail if entry["kind"] == Kind.CHANGE]
    refused = [(e["by"], e["what"], e["why"], e["state"]) for e in trail if e["kind"] == Kind.REFUSAL]
    said = [(entry["by"], entry["what"]) for entry in trail]

    assert [entry["version"] for entry in changes] == list(range(1, record.version + 1))
    assert {entry["rotation"] for entry in trail} == {record.id}
    assert changes[-1]["state"] == record.state == State.COMPLETED
    assert said[0] == ("U_REQUESTER", "asked")
    assert ("U_REQUESTER", "Enter new secret") in said
    assert ("U_REQUESTER", "gave a secret") in said
    assert ("U_APPROVER", "approved") in said
    assert refused == [
        ("U_GUEST", "Cancel", "Guests cannot use Keyturn. Ask a full member of this workspace.", "AWAITING_SECRET"),
        ("U_APPROVER", "Roll back", "“Roll back” no longer applies: this rotation is old key deleted.", "COMPLETED"),
    ]
    assert not any(secret in str(trail) for secret in (NEW_SECRET, OLD_SECRET, record.replacement.name))
    status, output = await verify(stage, tmp_path)
    assert (status, f"{len(trail)} entries, each chained to the one before" in output) == (0, True)


async def test_the_receipt_has_the_head_that_the_trail_had_at_the_delete(
    after: tuple[Stage, Message], tmp_path: Path
) -> None:
    stage, card = after
    found = re.search(r"Head of the audit trail at the delete: `?([0-9a-f]{20})\b", stage.thread(card))
    assert found, stage.thread(card)
    delete = next(e for e in await told(stage) if (e["what"], e["why"]) == ("step", "delete"))

    assert delete["hash"].startswith(found[1])
    status, output = await verify(stage, tmp_path, "--head", found[1])
    assert (status, f"`{found[1]}` is entry {delete['number']}." in output) == (0, True)

    key = stage.namespace.key
    with Redis.from_url(stage.redis_url) as redis:
        redis.delete(key("audit"), *redis.scan_iter(key("rotation", "*")), key("all"))
    status, output = await verify(stage, tmp_path, "--head", found[1])
    assert (status, "entries were taken from the end, or the trail was rewritten" in output) == (1, True)


Key = Callable[..., str]


def changed(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.lset(key("audit"), 2, lines[2].replace(b"U_GUEST", b"U_OTHER").replace(b"U_REQUESTER", b"U_OTHER"))
    return "Entry 3 was changed"


def not_text(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.lset(key("audit"), 2, b"\xff")
    return "it holds bytes that Keyturn does not write"


def removed(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.lrem(key("audit"), 1, lines[4])
    return "Entry 5 is missing: entry 6 stands in its place."


def doubled(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.linsert(key("audit"), "AFTER", lines[4], lines[4])
    return "Entry 5 is there twice: the second one stands after entry 5."


def swapped(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.lset(key("audit"), 3, lines[5])
    redis.lset(key("audit"), 5, lines[3])
    return "Entry 6 is out of order: it stands before entry 4."


def cut_off(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.ltrim(key("audit"), 0, -4)
    return "and no entry says so: entries were taken from the end, or the record was changed by another hand."


def all_gone(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.delete(key("audit"))
    return "and no entry says so"


def another_state(redis: Redis, key: Key, lines: list[bytes]) -> str:
    name = next(redis.scan_iter(key("rotation", "*")))
    redis.set(name, redis.get(name).replace(b'"state":"COMPLETED"', b'"state":"ROLLED_BACK"'))
    return "is ROLLED_BACK at version"


def no_record(redis: Redis, key: Key, lines: list[bytes]) -> str:
    redis.delete(next(redis.scan_iter(key("rotation", "*"))))
    return "there is no record of it that can be read"


MEDDLING = [changed, not_text, removed, doubled, swapped, cut_off, all_gone, another_state, no_record]


async def test_whatever_is_done_to_it_in_redis_is_found(after: tuple[Stage, Message], tmp_path: Path) -> None:
    stage, _ = after
    key = stage.namespace.key
    with Redis.from_url(stage.redis_url) as redis:
        kept = {name: redis.dump(name) for name in (key("audit"), next(redis.scan_iter(key("rotation", "*"))))}
        for meddle in MEDDLING:
            sentence = meddle(redis, key, redis.lrange(key("audit"), 0, -1))
            status, output = await verify(stage, tmp_path)

            assert (status, sentence in output) == (1, True), output
            assert len(output.splitlines()) == 1
            for name, value in kept.items():
                redis.restore(name, 0, value, replace=True)
    assert (await verify(stage, tmp_path))[0] == 0


async def test_an_exported_trail_is_verified_from_its_file_alone(after: tuple[Stage, Message], tmp_path: Path) -> None:
    stage, _ = after
    status, exported = await ran({"REDIS_URL": stage.redis_url}, tmp_path, "audit", "export")
    assert status == 0
    assert [json.loads(line) for line in exported.splitlines()] == await told(stage)
    lines = exported.splitlines()
    file, cut = tmp_path / "trail.jsonl", tmp_path / "cut.jsonl"
    file.write_text(exported + "\n")
    cut.write_text("\n".join([*lines[:2], *lines[3:]]) + "\n")

    status, output = await ran({}, tmp_path, "audit", "verify", str(file))
    assert (status, f"{len(lines)} entries, each chained to the one before" in output) == (0, True)
    status, output = await ran({}, tmp_path, "audit", "verify", str(cut))
    assert (status, "Entry 3 is missing: entry 4 stands in its place." in output) == (1, True)
    status, output = await ran({}, tmp_path, "audit", "verify", str(file), "--head", "0" * 20)
    assert (status, "No entry has the hash" in output) == (1, True)


async def test_a_bot_goes_on_after_somebody_has_meddled_and_the_fault_stays_seen(stage: Stage, tmp_path: Path) -> None:
    card = await stage.ask()
    key = stage.namespace.key
    with Redis.from_url(stage.redis_url) as redis:
        redis.lset(key("audit"), -1, "nonsense")
    await stage.press("Cancel", card)
    await stage.says(card, "cancelled")

    status, output = await verify(stage, tmp_path)

    assert (status, "Entry 1 was changed" in output) == (1, True)


async def test_what_looked_like_a_secret_is_told_without_it(stage: Stage) -> None:
    typed = "sk-proj-A1b2C3d4E5f6G7h8"
    await stage.slack.person("U_REQUESTER").command(typed)
    await stage.told("U_REQUESTER", "That looks like a secret")

    trail = await told(stage)

    assert [(e["kind"], e["by"], e["rotation"]) for e in trail] == [("refusal", "U_REQUESTER", None)]
    assert typed not in str(trail)


async def test_the_embedded_trail_is_read_only_where_no_bot_runs(tmp_path: Path) -> None:
    environ, data = {"KEYTURN_DATA": str(tmp_path / "data")}, tmp_path / "data"
    status, output = await ran(environ, tmp_path, "audit", "verify")
    assert (status, "no bot has kept data in KEYTURN_DATA" in output) == (1, True)
    assert not data.exists()

    async with embedded_server(data):
        status, output = await ran(environ, tmp_path, "audit", "verify")
        assert (status, "KEYTURN_DATA is in use: another Keyturn runs on" in output) == (1, True)

    status, output = await ran(environ, tmp_path, "audit", "verify")
    assert (status, output) == (0, "ok     audit trail: 0 entries, each chained to the one before.")


async def test_a_redis_that_is_away_is_one_sentence(tmp_path: Path) -> None:
    status, output = await ran({"REDIS_URL": "redis://127.0.0.1:9"}, tmp_path, "audit", "export")

    assert status == 1
    assert "REDIS_URL does not answer" in output
    assert "Traceback" not in output
