"""Somebody at the command line lets a stopped rotation go on while the bot runs; an approver is asked as ever."""

import json
from pathlib import Path

from tests.support.process import ran
from tests.support.stage import KEY, Stage


async def test_a_stopped_rotation_is_resumed_at_the_command_line_and_waits_for_its_approver(
    stage: Stage, tmp_path: Path
) -> None:
    route = stage.aisix.add_passthrough("production", "files", key=stage.key_named(KEY))
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "stopped: a route still uses the old key")
    stopped = await stage.record()

    async def typed(*words: str) -> str:
        status, said = await ran({"REDIS_URL": stage.redis_url}, tmp_path, *words)
        assert status == 0, said
        return said

    assert f"{stopped.id}  stopped (a route still uses the old key)" in await typed("status")
    assert "docs/stops.md#a-route-still-uses-the-old-key" in await typed("show", stopped.id)
    stage.aisix.edit(route, key=stage.key_named("(20"))
    await typed("resume", stopped.id, "--by", "alice")

    await stage.says(card, "waiting for an approver")
    told = json.loads(await typed("show", stopped.id, "--json"))
    assert (told["state"], told["approvals"]) == ("AWAITING_APPROVAL", [])
    assert '"by":"alice at the command line","what":"tried again"' in await typed("audit", "export")
    assert KEY in {key.display_name for key in stage.aisix.provider_keys.values()}
