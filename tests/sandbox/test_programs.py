"""The sandbox's programs from outside: what they print, how they end, and that no secret gets out."""

import re
import signal

import pytest

from sandbox.company import SECRETS
from tests.sandbox.programs import PROJECT, started, told
from tests.sandbox.windows import window

TOLD = (
    "@requester  /rotate-key OpenAI production",
    "1 (sk-svcacct-",
    "): deleted",
    "2 (sk-svcacct-",
    "to @requester only: Only an approver other than @requester can do this.",
    "[ Not now ]  [ Delete ]",
    "Receipt",
    "presses [ Revoke at OpenAI… ]",
    "No use since ",
    "production gateway (sk-sandbox-...2e8b): deleted",
    "to whoever has the old secret: 401 Incorrect API key provided.",
    "✔ No request failed.",
    "✔ The old key is gone.",
    "✔ All 5 affected models are on the new key.",
    "✔ No other key of the rotation is left over.",
    "✔ No throw-away model is left over.",
    "✔ OpenAI refuses the old API key.",
    "✔ Of 2 API keys that OpenAI made, 1 is left: the one in use.",
    "✔ No new secret, and no admin key of the provider, is in Slack, in the bot's log or in its Redis.",
)
FIGURES = re.compile(r"^ +(by hand|by the bot) +[\d,]+ requests sent, ([\d,]+) failed", re.MULTILINE)
HELP = "rotates a provider key without an outage"
ASKED_IN_VAIN = {"http_proxy": "http://127.0.0.1:9"}


async def test_the_demo_ends_well_tells_the_whole_story_and_keeps_its_secrets(tmp_path):
    path = tmp_path / "bot.log"
    demo = await started("-m", "sandbox.demo", "--plain", "--log", str(path), **ASKED_IN_VAIN)
    printed = await told(demo)
    log = path.read_text()

    assert demo.returncode == 0, printed
    assert [words for words in TOLD if words not in printed] == []
    assert '"event": "ready"' in log
    assert [secret for secret in SECRETS if secret in printed or secret in log] == []


async def test_a_demo_that_fails_says_so_in_a_sentence_with_the_bots_log(tmp_path):
    broken, runner = tmp_path / "bot", tmp_path / "run.py"
    broken.mkdir()
    (broken / "__main__.py").write_text("raise SystemExit('this bot cannot start')")
    runner.write_text(
        "import sandbox.bot_process, sandbox.demo, pathlib\n"
        f"sandbox.bot_process.PROJECT = pathlib.Path({str(tmp_path)!r})\n"
        "sandbox.demo.main(['--plain'])\n"
    )
    demo = await started(str(runner), PYTHONPATH=str(PROJECT))
    printed = await told(demo)

    assert demo.returncode == 1
    assert "The bot ended by itself, with exit status 1." in printed
    assert "this bot cannot start" in printed


@pytest.mark.parametrize(
    ("program", "last", "words"),
    [
        (("sandbox",), "Ctrl-C", "export SLACK_API_URL='http://127.0.0.1:"),
        (("sandbox.demo", "--plain", "--stay"), "export APPROVERS", "To try a bot of your own"),
    ],
)
async def test_a_sandbox_that_stays_prints_the_settings_and_ends_well_at_ctrl_c(tmp_path, program, last, words):
    there = ("--env", str(tmp_path / "env")) if program == ("sandbox",) else ()
    process = await started("-m", *program, *there, PYTHONUNBUFFERED="1")
    printed = await told(process, last)
    process.send_signal(signal.SIGINT)

    assert await process.wait() == 0
    assert words in printed
    assert not there or "AISIX_GATEWAYS='{" in (tmp_path / "env").read_text()


async def test_a_wrong_secret_costs_callers_by_hand_and_not_by_the_bot():
    small = ("--plain", "--models", "3", "--rate", "20", "--reading", "0.3")
    process = await started("-m", "sandbox.comparison", *small)
    printed = await told(process)
    failed = {way: int(failed.replace(",", "")) for way, failed in FIGURES.findall(printed)}

    assert process.returncode == 0, printed
    assert (failed["by hand"] > 0, failed["by the bot"]) == (True, 0)
    assert "✔ By the bot, none does." in printed


async def test_play_has_one_address_with_a_bot_behind_it_also_after_it_was_killed():
    play = await started("-m", "sandbox.page", PYTHONUNBUFFERED="1", PLAY_SETTINGS="WATCH=5 SOAK=2", **ASKED_IN_VAIN)
    (address,) = re.findall(r"http://\S+", await told(play, "Ctrl-C"))
    async with window(address, "U_REQUESTER") as requester:
        for answers in (1, 2):
            await requester.do("command", text="/rotate-key help", channel="C_OPS")
            await requester.until(lambda seen, wanted=answers: seen.told().count(HELP) >= wanted)
            for bot in ("killed", "runs"):
                await requester.do("switch", name="bot", value=bot)
                await requester.until(lambda seen, away=bot == "killed": seen.items["team"]["away"] == away)
    play.send_signal(signal.SIGINT)

    assert await play.wait() == 0
    assert address.startswith("http://127.0.0.1:")
