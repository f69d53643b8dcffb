"""The demo from outside: what it prints, how it ends, and that it keeps its secrets to itself."""

import signal
from pathlib import Path

from sandbox.company import SECRETS
from tests.sandbox.programs import PROJECT, started, told

TOLD = (
    "@requester  /rotate-key OpenAI production",
    "5 models in 2 environments use this key",
    "masked here; Slack itself shows it",
    "stopped: the new secret was refused",
    "No model has been moved",
    "staging      proved",
    "to @requester only: Only an approver other than @requester can do this.",
    "[ Not yet ]  [ Delete ]",
    "Receipt",
    "now says: ",
    " requests sent, 0 failed",
    "✔ No request failed.",
    "✔ The old key is gone.",
    "✔ All 5 affected models are on the replacement.",
    "✔ No other key of the rotation is left over.",
    "✔ No throw-away model is left over.",
)


async def test_the_demo_ends_well_tells_the_whole_story_and_keeps_its_secrets(tmp_path: Path) -> None:
    path = tmp_path / "bot.log"
    demo = await started("-m", "sandbox.demo", "--plain", "--log", str(path), http_proxy="http://127.0.0.1:9")
    printed = await told(demo)
    log = path.read_text()

    assert demo.returncode == 0, printed
    assert [words for words in TOLD if words not in printed] == []
    assert '"event": "ready"' in log
    assert [secret for secret in SECRETS if secret in printed or secret in log] == []


async def test_a_demo_that_fails_says_so_in_a_sentence_with_the_bots_log(tmp_path: Path) -> None:
    broken = tmp_path / "bot"
    broken.mkdir()
    (broken / "__main__.py").write_text("raise SystemExit('this bot cannot start')")
    runner = tmp_path / "run.py"
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


async def test_the_sandbox_prints_the_settings_for_a_bot_and_ends_at_ctrl_c(tmp_path: Path) -> None:
    sandbox = await started("-m", "sandbox", "--env", str(tmp_path / "env"), PYTHONUNBUFFERED="1")
    assert sandbox.stdout is not None
    first = (await sandbox.stdout.readline()).decode()
    while b"Ctrl-C" not in (line := await sandbox.stdout.readline()):
        assert line, "it ended before it had said all"
    sandbox.send_signal(signal.SIGINT)

    assert first.startswith("export SLACK_API_URL='http://127.0.0.1:")
    assert await sandbox.wait() == 0
    assert "AISIX_GATEWAYS='{" in (tmp_path / "env").read_text()


async def test_a_demo_that_stays_says_how_to_use_it_and_ends_well_at_ctrl_c() -> None:
    demo = await started("-m", "sandbox.demo", "--plain", "--stay", PYTHONUNBUFFERED="1")
    assert demo.stdout is not None
    printed = b""
    while b"export APPROVERS" not in printed:
        printed += (line := await demo.stdout.readline())
        assert line, printed.decode()
    demo.send_signal(signal.SIGINT)

    assert await demo.wait() == 0
    assert b"To try a bot of your own" in printed
