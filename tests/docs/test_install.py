"""The guide to install it shows what is really printed, and what it starts is really there."""

import asyncio
import configparser
import json
import re
import shlex
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bot.aisix.probes import GatewaySettings
from tests.support.documents import blocks, commands, read
from tests.support.process import bot_process, ran
from tests.support.stage import Stage, free_port

GUIDE = "docs/install.md"
SAID = [line for block in blocks(GUIDE) for line in block.text.splitlines() if line.startswith(("ok  ", "WRONG  "))]
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


def ids(stage: Stage) -> list[str]:
    """Return the ids of the environments."""
    return list(json.loads(stage.environ["AISIX_GATEWAYS"]))


async def printed(stage: Stage, environ: dict[str, str], folder: Path) -> set[str]:
    """Return what the check prints, with the environments' ids made alike."""
    _, said = await ran(environ, folder, "check", timeout=60)
    for id_ in ids(stage):
        said = said.replace(id_, "<environment id>")
    said = re.sub(r"(keyturn:T_HOME-)[0-9a-f]{8}", r"\1<hash>", said)
    return set(said.splitlines())


@pytest.fixture
async def checks(bare_stage: Stage, tmp_path: Path) -> AsyncIterator[tuple[set[str], set[str], set[str]]]:
    """What the check prints at the beginning of the guide, at its end, and at its end without a Redis."""
    alone = {name: value for name, value in bare_stage.environ.items() if name != "REDIS_URL"}
    environs = (example(bare_stage), bare_stage.environ, alone)
    before, after, without = await asyncio.gather(*(printed(bare_stage, environ, tmp_path) for environ in environs))
    yield before, after, without
    bare_stage.slack.calls.clear()  # that Slack refuses the example's tokens is what this is about


async def test_every_line_of_the_check_in_the_guide_is_printed_and_every_good_line_is_in_the_guide(
    checks: tuple[set[str], set[str], set[str]],
) -> None:
    before, after, alone = checks

    assert set(SAID) == before | after | alone
    assert not [line for line in after | alone if line.startswith("WRONG")]


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


async def curled(line: str, port: str) -> str:
    """Type *line* with the port of a bot that runs here; return what it prints."""
    words = shlex.split(line.replace("localhost:3000", f"127.0.0.1:{port}"))
    program = await asyncio.create_subprocess_exec(*words, "-s", "--noproxy", "*", stdout=asyncio.subprocess.PIPE)
    out, _ = await program.communicate()
    return out.decode() if program.returncode == 0 else ""


async def test_the_ids_of_the_environments_are_had_as_the_guide_says(bare_stage: Stage) -> None:
    (line,) = [line for line in commands(GUIDE) if "/environments" in line]
    environ = bare_stage.environ
    words = [re.sub(r"\$(\w+)", lambda name: environ[name[1]], word) for word in shlex.split(line)]

    program = await asyncio.create_subprocess_exec(*words, "-s", "--noproxy", "*", stdout=asyncio.subprocess.PIPE)
    out, _ = await program.communicate()

    assert all(id_ in out.decode() for id_ in ids(bare_stage))


# --- what starts it ---


def unit() -> configparser.ConfigParser:
    text = next(block.text for block in blocks(GUIDE) if block.language == "ini")
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string(text)
    return parser


def test_the_systemd_unit_starts_the_bot_and_keeps_its_data_where_it_may_write() -> None:
    service = unit()["Service"]

    assert service["ExecStart"] == f"{service['WorkingDirectory']}/.venv/bin/python -m bot"
    assert service["Environment"] == f"KEYTURN_DATA=/var/lib/{service['StateDirectory']}"
    assert service["DynamicUser"] == "yes"
    assert service["LimitCORE"] == "0", "a core dump could show the secret"


def test_the_procfile_has_the_two_halves() -> None:
    lines = dict(line.split(": ") for line in read("Procfile").splitlines())

    assert lines == {"web": "python -m bot web", "worker": "python -m bot worker"}


def jsons() -> list[Any]:
    return [json.loads(block.text) for block in blocks(GUIDE) if block.language == "json"]


@pytest.mark.parametrize("number", range(len(jsons())))
def test_the_gateways_of_the_guide_are_settings_that_can_be_read(number: int) -> None:
    (gateway,) = jsons()[number].values()

    assert set(gateway) <= set(GatewaySettings.model_fields)
    assert GatewaySettings.model_validate(gateway).url == "https://gateway.example.com"
