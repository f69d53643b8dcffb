"""Who did what, and who was refused: told in one chain, which shows it when somebody meddles with it."""

import json
from pathlib import Path
from typing import Any

from redis import Redis

from bot.rotation.audit import Kind
from bot.rotation.record import Rotation
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
    await stage.slack.person("U_APPROVER").click("Roll back", card, stale=True)
    await stage.told("U_APPROVER", "no longer applies")
    return card


async def test_the_trail_explains_the_record_and_whatever_is_done_to_it_is_found(stage: Stage, tmp_path: Path) -> None:
    card = await rotated(stage)
    trail, record = await told(stage), await stage.record()
    explains_the_record(trail, record)
    status, output = await verify(stage, tmp_path)
    assert (status, f"{len(trail)} entries, each chained to the one before" in output) == (0, True)

    assert "Records are bound from entry 1 on." in output

    last = next(entry for entry in reversed(trail) if entry["kind"] == Kind.CHANGE)
    head = last["hash"][:20]
    await stage.thread_says(card, f"Head of the audit trail so far: {head}")
    status, output = await verify(stage, tmp_path, "--head", head)
    assert (status, f"`{head}` is entry {last['number']}." in output) == (0, True)

    await verifies_from_its_file(stage, tmp_path)
    await has_a_receipt_that_verifies_alone(record.id, head, stage, tmp_path)
    await is_found_to_be_meddled_with(stage, tmp_path)


async def is_found_to_be_meddled_with(stage: Stage, folder: Path) -> None:
    key = stage.namespace.key
    with Redis.from_url(stage.redis_url) as redis:
        record = next(redis.scan_iter(key("rotation", "*")))
        redis.set(record, redis.get(record).replace(b'"state":"COMPLETED"', b'"state":"ROLLED_BACK"'))
        status, output = await verify(stage, folder)
        assert (status, "is ROLLED_BACK at version" in output, len(output.splitlines())) == (1, True, 1), output

        redis.lset(key("audit"), 2, b"\xff")
        status, output = await verify(stage, folder)
        assert (status, "it holds bytes that Keyturn does not write" in output) == (1, True), output


def explains_the_record(trail: list[dict[str, Any]], record: Rotation) -> None:
    changes = [entry for entry in trail if entry["kind"] == Kind.CHANGE]
    refused = [(e["by"], e["what"], e["why"], e["state"]) for e in trail if e["kind"] == Kind.REFUSAL]
    said = [(entry["by"], entry["what"]) for entry in trail]
    expected = [
        ("U_REQUESTER", "asked"),
        ("U_REQUESTER", "Enter new secret"),
        ("U_REQUESTER", "gave a secret"),
        ("U_APPROVER", "approved"),
    ]

    assert [entry["version"] for entry in changes] == list(range(1, record.version + 1))
    assert {entry["rotation"] for entry in trail} == {record.id}
    assert changes[-1]["state"] == record.state == State.COMPLETED
    assert set(expected) <= set(said)
    assert refused == [
        ("U_GUEST", "Cancel", "Guests cannot use Keyturn. Ask a full member of this workspace.", "AWAITING_SECRET"),
        ("U_APPROVER", "Roll back", "“Roll back” no longer applies: this rotation is old key deleted.", "COMPLETED"),
    ]
    assert not any(secret in str(trail) for secret in (NEW_SECRET, OLD_SECRET, record.replacement.name))


async def verifies_from_its_file(stage: Stage, folder: Path) -> None:
    status, exported = await ran({"REDIS_URL": stage.redis_url}, folder, "audit", "export")
    lines = exported.splitlines()
    assert (status, [json.loads(line) for line in lines]) == (0, await told(stage))
    file = folder / "trail.jsonl"
    file.write_text(exported + "\n")

    status, output = await ran({}, folder, "audit", "verify", str(file))
    assert (status, f"{len(lines)} entries, each chained to the one before" in output) == (0, True)
    status, output = await ran({}, folder, "audit", "verify", str(file), "--head", "0" * 20)
    assert (status, "No entry has the hash" in output) == (1, True)


async def has_a_receipt_that_verifies_alone(rotation: str, head: str, stage: Stage, folder: Path) -> None:
    status, printed = await ran({"REDIS_URL": stage.redis_url}, folder, "receipt", rotation)
    file = folder / "receipt.json"
    file.write_text(printed)
    assert (status, json.loads(printed)["approvals"][0]["by"]) == (0, "U_APPROVER")

    status, output = await ran({}, folder, "receipt", "verify", str(file), "--head", head)
    assert (status, "which is the head that you gave" in output) == (0, True), output
    file.write_text(printed.replace("U_APPROVER", "U_SOMEBODY", 1))
    status, output = await ran({}, folder, "receipt", "verify", str(file))
    assert (status, "`approvals[0].by` was edited" in output) == (1, True), output
    status, output = await ran({"REDIS_URL": stage.redis_url}, folder, "receipt", "rnone22")
    assert (status, "There is no rotation rnone22" in output) == (1, True), output


async def test_a_trail_that_cannot_be_read_now_is_one_sentence(tmp_path: Path) -> None:
    environ, data = {"KEYTURN_DATA": str(tmp_path / "data")}, tmp_path / "data"
    status, output = await ran(environ, tmp_path, "audit", "verify")
    assert (status, "no bot has kept data in KEYTURN_DATA" in output) == (1, True)
    assert not data.exists()

    async with embedded_server(data):
        status, output = await ran(environ, tmp_path, "audit", "verify")
        assert (status, "KEYTURN_DATA is in use: another Keyturn runs on" in output) == (1, True)

    status, output = await ran(environ, tmp_path, "audit", "verify")
    assert (status, output) == (0, "WARN   audit trail: there is nothing to verify: it has no entry.")
    status, output = await ran({"REDIS_URL": "redis://127.0.0.1:9"}, tmp_path, "audit", "export")
    assert (status, "REDIS_URL does not answer" in output, "Traceback" in output) == (1, True, False)
