"""The guide to install it shows what is really printed, and what it starts is really there."""

import asyncio
import json
import re
import shlex
from pathlib import Path

from bot.aisix.probes import GatewaySettings
from tests.support.documents import blocks, commands, read
from tests.support.process import bot_process, ran
from tests.support.stage import Stage, free_port

GUIDE = "docs/install.md"
SAID = [
    line
    for block in blocks(GUIDE)
    for line in block.text.splitlines()
    if line.startswith(("ok  ", "WARN  ", "WRONG  "))
]
READY = next(line for block in blocks(GUIDE) for line in block.text.splitlines() if '"event": "ready"' in line)


def example(stage: Stage) -> dict[str, str]:
    """Return the settings of the example, with nobody at the control plane and the gateways."""
    lines = (line.partition("=") for line in read(".env.example").splitlines() if not line.startswith("#"))
    settings = {name: value for name, _, value in lines}
    nobody = f"http://127.0.0.1:{free_port()}"
    return {
        **settings,
        "SLACK_API_URL": stage.environ["SLACK_API_URL"],
        "AISIX_CLOUD_API": settings["AISIX_CLOUD_API"].replace("https://cp.example.com", nobody),
        "AISIX_GATEWAYS": settings["AISIX_GATEWAYS"].replace("https://gateway.example.com", nobody),
        "CONTROL_PLANE_ATTEMPTS": "1",
    }


async def printed(stage: Stage, environ: dict[str, str], folder: Path) -> set[str]:
    """Return what the check prints, with the environments' ids made alike."""
    _, said = await ran(environ, folder, "check")
    for id_ in json.loads(stage.environ["AISIX_GATEWAYS"]):
        said = said.replace(id_, "<environment id>")
    said = re.sub(r"127\.0\.0\.1:\d+", "<host:port>", said)
    return set(re.sub(r"(keyturn:T_HOME-)[0-9a-f]{8}", r"\1<hash>", said).splitlines())


async def test_every_line_of_the_check_in_the_guide_is_printed_and_every_good_line_is_in_the_guide(
    bare_stage: Stage, tmp_path: Path
) -> None:
    """It is printed at the beginning of the guide, at its end, or at its end without a Redis."""
    gateways = json.loads(bare_stage.environ["AISIX_GATEWAYS"])
    gateways[bare_stage.aisix.environment("production").id]["replicas"] = 2
    bare_stage.overrides["AISIX_GATEWAYS"] = json.dumps(gateways)
    alone = {name: value for name, value in bare_stage.environ.items() if name != "REDIS_URL"}
    environs = (example(bare_stage), bare_stage.environ, alone)
    before, *after = await asyncio.gather(*(printed(bare_stage, environ, tmp_path) for environ in environs))
    bare_stage.slack.calls.clear()  # that Slack refuses the example's tokens is what this is about

    assert set(SAID) == before.union(*after)
    assert not [line for lines in after for line in lines if line.startswith("WRONG")]


def test_each_step_that_a_setting_belongs_to_ends_with_a_line_of_the_check() -> None:
    steps = re.split(r"^## ", read(GUIDE), flags=re.MULTILINE)
    proved = [step.splitlines()[0] for step in steps if "\nok  " in step]

    assert [title.partition(".")[0] for title in proved] == ["1", "2", "3", "4", "5", "6"]


async def test_the_line_that_says_ready_and_the_addresses_are_those_of_the_bot(
    bare_stage: Stage, tmp_path: Path
) -> None:
    port = str(free_port())
    async with bot_process(bare_stage.environ | {"PORT": port}, tmp_path) as bot:
        event = next(event for event in bot.events if event["event"] == "ready")
        answers = {line: await curled(line, port) for line in commands(GUIDE) if "localhost:3000" in line}

    assert event | {"timestamp": "…"} == json.loads(READY)
    assert len(answers) == 3
    assert all(answers.values()), answers


async def curled(line: str, port: str = "3000") -> str:
    """Type *line* with the port of a bot that runs here; return what it prints."""
    words = shlex.split(line.replace("localhost:3000", f"127.0.0.1:{port}"))
    program = await asyncio.create_subprocess_exec(*words, "-s", "--noproxy", "*", stdout=asyncio.subprocess.PIPE)
    out, _ = await program.communicate()
    return out.decode() if program.returncode == 0 else ""


# --- what starts it ---


def test_the_procfile_has_the_two_halves() -> None:
    lines = dict(line.split(": ") for line in read("Procfile").splitlines())

    assert lines == {"web": "python -m bot web", "worker": "python -m bot worker"}


def test_the_gateways_of_the_guide_are_settings_that_can_be_read() -> None:
    found = [
        gateway for block in blocks(GUIDE) if block.language == "json" for gateway in json.loads(block.text).values()
    ]

    assert found
    for gateway in found:
        assert set(gateway) <= set(GatewaySettings.model_fields)
        assert GatewaySettings.model_validate(gateway).url == "https://gateway.example.com"
