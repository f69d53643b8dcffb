"""A reference typed in the form: the card tells what was read, and the secret is nowhere but at the upstream."""

import json
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.support.canary import CANARY, refuse_canary, refuse_in_keys
from tests.support.stage import Stage


async def rotated(stage: Stage, reference: str) -> str:
    """Rotate by a reference, up to the receipt, and return the card's text; the secret is found nowhere else."""
    stage.aisix.upstream.accept(CANARY)
    async with stage.bot():
        card = await stage.ask()
        outside = await stage.give(card, reference.replace("openai", "anthropic", 1))
        assert outside.errors["secret"].startswith("For this key, nothing may be read there; SECRET_SOURCES allows")
        given = await stage.give(card, reference)
        assert given.closed, given.errors
        await stage.press("Delete old key", card, who="U_APPROVER")
        await stage.says(card, "old key deleted")
        record = await stage.record()
        async with Redis.from_url(stage.redis_url, decode_responses=True) as redis:
            await refuse_in_keys(redis)
    assert stage.aisix.upstream.answered(CANARY), "the secret has got where it belongs"
    refuse_canary("\n".join(map(repr, stage.slack.calls)), "what Slack was sent")
    assert record.replacement is not None
    assert f"new secret by {record.replacement.source}" in f"{card.plain}".replace("`", "")
    return record.replacement.source


async def test_a_secret_is_taken_from_a_file_that_the_form_names(
    bare_stage: Stage, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "openai").write_text(CANARY + "\n")
    allow = [{"references": ["file:openai"], "providers": ["openai"]}]
    bare_stage.overrides["SECRET_SOURCES"] = json.dumps({"file": {"folder": str(tmp_path)}, "allow": allow})

    assert (await rotated(bare_stage, "file:openai")).startswith("file:openai, of 20")
    log = capsys.readouterr().out
    assert "gave a secret (reference)" in log
    refuse_canary(log, "the log")
