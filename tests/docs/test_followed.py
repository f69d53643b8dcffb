"""The guides, followed literally: each command, in order, by another user in a fresh folder, against the sandbox."""

import asyncio
import os
import re
import shlex
import shutil
import signal
import subprocess
import tempfile
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from tests.docs.test_deploy import environ, value
from tests.docs.test_install import example
from tests.support.documents import ROOT, commands, read
from tests.support.process import until_answer
from tests.support.stage import Stage, free_port

OWNER, UNIT_USER = 65533, 65532
"""Who follows the guide, and whom systemd would make for the bot."""

PATH = "/usr/local/bin:/usr/bin:/bin"
ELSEWHERE = ("docker ", "echo ", "kubectl ", "journalctl ", "sudo systemctl daemon-reload")
"""What takes an engine, a cluster or systemd, and what is for those alone: it was done by hand."""


def as_user(user: int) -> list[str]:
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all", "--no-new-privs"]


def can_be_followed() -> bool:
    """Tell whether another user can be had here, with a Python of its own."""
    python = [
        *as_user(OWNER),
        "env",
        f"PATH={PATH}",
        "python3",
        "-c",
        "import sys, ensurepip; assert sys.version_info >= (3, 11)",
    ]
    return os.geteuid() == 0 and subprocess.run(python, capture_output=True, check=False).returncode == 0


class Follower:
    """Somebody with a clone and a shell, and with systemd as it would act on the units."""

    def __init__(self, stage: Stage, folder: Path, units: AsyncExitStack) -> None:
        self._stage, self.clone, self._units = stage, folder / "keyturn", units
        self._run = folder / "run"
        self.port = self._answers = str(free_port())
        self.surroundings = {
            "PATH": f"{self.clone}/.venv/bin:{PATH}",
            "HOME": str(folder),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            **{name: value for name, value in os.environ.items() if name.startswith("PIP_")},
        }

    def fill(self, settings: dict[str, str]) -> None:
        """Write `.env`, which keeps its owner and its mode."""
        file = self.clone / ".env"
        file.write_text("".join(f"{name}='{text}'\n" for name, text in settings.items()))
        assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (OWNER, 0o600)

    async def type(self, line: str, **more: str) -> tuple[int, str]:
        """Type a line into the shell, and wait for its end."""
        shell = await self._begun(["sh", "-c", line], self.clone, {**self.surroundings, **more})
        said, _ = await shell.communicate()
        return shell.returncode or 0, said.decode()

    async def _begun(self, words: list[str], folder: Path, given: dict[str, str], user: int = OWNER) -> Process:
        return await asyncio.create_subprocess_exec(
            *as_user(user),
            *words,
            cwd=folder,
            env=given,
            umask=0o077 if user == UNIT_USER else 0o022,
            stdout=PIPE,
            stderr=STDOUT,
            start_new_session=True,
        )

    @asynccontextmanager
    async def running(
        self, words: list[str], folder: Path, given: dict[str, str], port: str, user: int = OWNER
    ) -> AsyncIterator[None]:
        """Have *words* run until they say at *port* that they are ready; then stop them, and see that they end well."""
        bot = await self._begun(words, folder, given, user)
        reading = asyncio.create_task(bot.stdout.read())  # type: ignore[union-attr]
        ready = asyncio.create_task(until_answer(f"http://127.0.0.1:{port}/readyz", 200))
        try:
            await asyncio.wait({reading, ready}, return_when=asyncio.FIRST_COMPLETED)
            assert not reading.done(), (words, reading.result())
            with suppress(TimeoutError):
                await ready
            if ready.exception():
                os.killpg(bot.pid, signal.SIGTERM)
                raise AssertionError((words, (await reading).decode()))
            yield
        finally:
            with suppress(ProcessLookupError):
                os.killpg(bot.pid, signal.SIGTERM)
            said = (await reading).decode()
            await bot.wait()
        assert "Traceback" not in said, said

    async def start(self, name: str) -> None:
        """Do for a unit what systemd does: a copy of the settings for another user, which starts where that is."""
        name, _, number = name.partition("@")
        unit = f"{name}@" if number else name
        given = {key: words.replace("%i", number) for key, words in environ(unit).items()}
        given |= {key: str(free_port()) for key in given if key.endswith("PORT")}
        given |= {"PATH": PATH, "PYTHONPATH": given["PYTHONPATH"].replace("/opt/keyturn", str(self.clone))}
        if "KEYTURN_DATA" in given:
            given["KEYTURN_DATA"] = str(self._made(name, "data"))
        folder = self._made(f"{name}{number}", "credentials")
        source, target = reversed(value(unit, "LoadCredential").split(":"))
        shutil.copy(source.replace("/opt/keyturn", str(self.clone)), folder / target)
        for path in (folder / target, folder):
            os.chown(path, UNIT_USER, UNIT_USER)
            path.chmod(0o400 if path.is_file() else 0o500)
        command = shlex.split(value(unit, "ExecStart").replace("/opt/keyturn", str(self.clone)))
        port = next((port for key, port in given.items() if key.endswith("PORT")), self.port)
        await self._units.enter_async_context(self.running(command, folder, given, port, UNIT_USER))
        if unit == "keyturn-web@":
            self._answers = port

    def _made(self, name: str, what: str) -> Path:
        folder = self._run / name / what
        folder.mkdir(parents=True, exist_ok=True)
        os.chown(folder, UNIT_USER, UNIT_USER)
        return folder

    async def follow(self, line: str) -> None:
        """Do what a line of the guide says, and see that it went well."""
        match line.split():
            case ["make", "run"]:
                async with self.running(["make", "run"], self.clone, self.surroundings, self.port):
                    pass
            case ["sudo", "cp", *files, "/etc/systemd/system/"]:
                assert [file for file in files if not [*self.clone.glob(file)]] == []
            case ["sudo", "systemctl", "enable", "--now", *units]:
                for unit in units:
                    await self.start(unit)
            case ["sudo", "systemctl", "disable", "--now", _]:
                await self._units.aclose()
            case ["sudo", "systemctl", "restart", unit]:
                await self._units.aclose()
                await self.start(unit)
            case _:
                status, said = await self.type(line.replace("localhost:3000", f"127.0.0.1:{self._answers}"))
                assert status == 0, (line, said)


def cloned(folder: Path) -> None:
    """Make a repository of what is here, and OWNER's clone of it."""
    git, origin = (
        ["git", "-c", "safe.directory=*", "-c", "user.name=a", "-c", "user.email=a@example.com"],
        folder / "origin",
    )
    listed = subprocess.check_output([*git, "ls-files", "-z", "-co", "--exclude-standard"], cwd=ROOT, text=True)
    for file in listed.split("\0"):
        if (ROOT / file).is_file():
            (origin / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / file, origin / file)
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "All"], ["clone", "-q", ".", "../keyturn"]):
        subprocess.run([*git, *words], cwd=origin, check=True)
    subprocess.run(["chown", "-R", f"{OWNER}:{OWNER}", folder], check=True)
    folder.chmod(0o755)


@pytest.fixture
async def follower(bare_stage: Stage) -> AsyncIterator[Follower]:
    """Lend somebody a fresh folder with a clone of what is here."""
    with tempfile.TemporaryDirectory() as folder:
        await asyncio.to_thread(cloned, Path(folder))
        socket = Path(bare_stage.redis_url.removeprefix("unix://"))
        for path in (socket, socket.parent):
            path.chmod(0o777)  # it is root's alone
        async with AsyncExitStack() as units:
            yield Follower(bare_stage, Path(folder), units)


@pytest.mark.rest
@pytest.mark.waits
@pytest.mark.skipif(not can_be_followed(), reason="needs root, setpriv, and a python3 with venv for every user")
async def test_the_guides_can_be_followed_by_another_user_command_by_command(
    bare_stage: Stage, follower: Follower
) -> None:
    first, *later = [line for line in commands("docs/install.md") if not line.startswith(ELSEWHERE)]
    check = ".venv/bin/python -m bot check"
    at = later.index(check)
    for line in (first, *later[:at]):
        await follower.follow(line)
    status, said = await follower.type(
        check, **{name: text for name, text in example(bare_stage).items() if "127.0" in text}
    )
    assert status == 1
    assert "WRONG  Slack: SLACK_BOT_TOKEN is wrong" in said
    bare_stage.slack.calls.clear()  # that Slack refuses the example's tokens is what this is about

    settings = {**bare_stage.environ, "PORT": follower.port}
    store = settings.pop("REDIS_URL")
    follower.fill(settings)
    for line in later[at + 1 :]:
        if "keyturn-web@1" in line:
            follower.fill({**settings, "REDIS_URL": store})
        await follower.follow(line)
    for line in dict.fromkeys(re.findall(r"`(python -m bot [a-z -]+)`", read("docs/operate.md"))):
        await follower.follow(line)
