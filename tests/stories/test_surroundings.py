"""What surrounds the process and is wrong: a sentence at the check and at the start names it, and never a trace."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.settings import WrongSettings
from bot.storage.embedded import embedded_server, try_data
from tests.support.documents import ROOT
from tests.support.process import bot_process, ran
from tests.support.stage import Stage

LONG = "a" * 90

WRONG = {
    "NO_PROXY": ("127.0.0.1,[::1", "NO_PROXY has [::1, which is no host, address or range: "),
    "ALL_PROXY": ("socks5://proxy", "ALL_PROXY is wrong: it should be the address of a proxy, http://host:port."),
    "SSL_CERT_FILE missing": ("nothing.pem", "SSL_CERT_FILE is wrong (No such file or directory): "),
    "SSL_CERT_FILE empty": ("/dev/null", "SSL_CERT_FILE is wrong (no certificate in it): "),
    "SSL_CERT_DIR": ("nowhere", "SSL_CERT_DIR is wrong (no such folder): "),
    "KEYTURN_DATA": ("/dev/null/data", "KEYTURN_DATA can't be written (/dev/null/data: Not a directory): "),
    "TMPDIR too long": (LONG, "TMPDIR is too long for a socket in it: it should be a short one, /tmp."),
    "KEYTURN_DATA read-only": ("/proc/data", "KEYTURN_DATA can't be written (/proc/data: "),
}


@pytest.mark.parametrize("command", ["check", ""])
async def test_wrong_surroundings_are_named_by_the_check_and_at_the_start(
    bare_stage: Stage, tmp_path: Path, subtests: pytest.Subtests, command: str
) -> None:
    (tmp_path / LONG).mkdir()
    for case, (value, sentence) in WRONG.items():
        name = case.partition(" ")[0]
        bare_stage.overrides = {name: value, **({"REDIS_URL": ""} if name in ("KEYTURN_DATA", "TMPDIR") else {})}
        with subtests.test(case):
            status, said = await ran(bare_stage.environ, tmp_path, *filter(None, [command]))

            assert status == 1
            assert sentence in said
            assert "Traceback" not in said


ODD = {
    "REQUESTS_CA_BUNDLE": "ca.pem",
    "LOGLEVEL": "DEBUG",
    "PYTHONIOENCODING": "ascii",
    "TZ": "Nowhere/Never",
    "HOME": "/nowhere",
    "LC_ALL": "tlh_KX.KLINGON",
    "NO_PROXY": "::1,[::1],fd00::/8,10.0.0.0/8,.svc",
}
SAID = (
    "WARN   this machine: REQUESTS_CA_BUNDLE has no effect on Keyturn: ",
    "WARN   this machine: LOGLEVEL (the environment) is not a Keyturn setting and is not read: ",
    "ok     Slack: bot keyturn",
)


async def test_odd_surroundings_end_no_check(bare_stage: Stage, tmp_path: Path) -> None:
    bare_stage.overrides = ODD
    status, said = await ran(bare_stage.environ, tmp_path, "check", command_line=True)

    assert (status, [line for line in SAID if line not in said], "Traceback" in said) == (0, [], False)


async def test_no_folder_for_the_embedded_servers_socket_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(WrongSettings, match=r"^TMPDIR is wrong \(No such file or directory\): "):
        try_data(tmp_path)


async def test_the_embedded_servers_files_are_its_users_alone(tmp_path: Path) -> None:
    data = tmp_path / "data"
    (data / "appendonlydir").mkdir(parents=True)
    (data / "appendonlydir" / "of-a-version-before").touch(0o644)
    (data / "keyturn.lock").touch(0o644)
    async with embedded_server(data) as url, Redis.from_url(url) as redis:
        await redis.set("a", "b")
        files = [path for path in data.rglob("*") if path.is_file()]

        assert {path.name for path in files} >= {"keyturn.lock", "appendonly.aof.1.incr.aof"}
        assert [path.name for path in files if path.stat().st_mode & 0o077] == []


async def test_a_bot_that_is_stopped_at_once_says_so_and_nothing_else(bare_stage: Stage, tmp_path: Path) -> None:
    async with bot_process(bare_stage.environ, tmp_path) as bot:
        status, _ = await bot.terminated()
        said = [
            event for event in bot.events if event["level"] in ("warning", "error") and "check_" not in event["event"]
        ]

    assert (status, said) == (0, [])
    assert "stopping" in {event["event"] for event in bot.events}


def test_a_user_without_a_home_can_start_it() -> None:
    nobody = "import pwd; pwd.getpwuid = lambda _: {}['nobody']; import bot.cli"
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}

    assert subprocess.run([sys.executable, "-c", nobody], env=environ, check=False).returncode == 0


def test_a_python_without_the_packages_is_told_to_install_them(tmp_path: Path) -> None:
    asks = f"import sys, runpy; sys.path[:0] = [{str(ROOT)!r}]; runpy.run_module('bot', run_name='__main__')"
    command = [sys.executable, "-I", "-S", "-c", asks]
    bare = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, check=False)

    assert (bare.returncode, bare.stdout) == (1, "")
    assert bare.stderr.endswith("is not installed: run `make install`, then .venv/bin/python -m bot.\n")
