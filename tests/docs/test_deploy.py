"""What `deploy/` has was run by hand, under systemd and in containers; here is held what makes it right."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.documents import commands, read

GUIDE = "docs/install.md"
UNITS = {"keyturn": "", "keyturn-web@": " web", "keyturn-worker@": " worker"}
OWN = ("Description=", "Environment=", "ExecStart=", "StateDirectory", "# Keyturn")
"""How lines begin that the units do not share."""


def unit(name: str) -> list[str]:
    return read(f"deploy/{name}.service").splitlines()


def value(name: str, setting: str) -> str:
    (found,) = [line.partition("=")[2] for line in unit(name) if line.startswith(f"{setting}=")]
    return found


def environ(name: str) -> dict[str, str]:
    return dict(word.split("=") for word in value(name, "Environment").split())


# --- systemd ---


@pytest.mark.parametrize("name", UNITS)
def test_a_unit_starts_the_bot_with_a_copy_of_the_settings_that_its_user_can_read(name: str) -> None:
    assert value(name, "ExecStart") == f"/opt/keyturn/.venv/bin/python -m bot{UNITS[name]}"
    assert value(name, "LoadCredential") == ".env:/opt/keyturn/.env"
    assert value(name, "WorkingDirectory") == "%d", "where .env is looked for"
    assert value(name, "LimitCORE") == "0", "a core dump could show the secret"


def test_the_units_differ_in_what_they_run_alone() -> None:
    one, web, worker = ([line for line in unit(name) if not line.startswith(OWN)] for name in UNITS)

    assert one == web == worker
    assert environ("keyturn")["KEYTURN_DATA"] == f"/var/lib/{value('keyturn', 'StateDirectory')}"
    assert environ("keyturn-web@")["PORT"] == "300%i"
    assert environ("keyturn-worker@")["WORKER_PORT"] == "301%i"


def test_the_guide_copies_every_unit() -> None:
    copied = {word for line in commands(GUIDE) if line.startswith("sudo cp ") for word in line.split()[2:-1]}

    assert {f"deploy/{name}.service" for name in UNITS} <= copied


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed")
@pytest.mark.parametrize("name", UNITS)
def test_systemd_understands_a_unit_and_calls_it_as_exposed_as_the_guide_says(name: str, tmp_path: Path) -> None:
    file = tmp_path / f"{name}.service"
    file.write_text(read(f"deploy/{file.name}").replace("/opt/keyturn/.venv/bin/python", sys.executable))
    analyze = ["systemd-analyze", "--no-pager"]
    verified = subprocess.run([*analyze, "verify", file], capture_output=True, text=True, check=False)
    rated = subprocess.run([*analyze, "security", "--offline=true", file], capture_output=True, text=True, check=False)
    exposure = re.search(r"exposure level for .*: ([\d.]+)", rated.stdout)

    assert file.name not in verified.stderr, verified.stderr
    assert exposure is not None, rated.stderr
    assert f"says how exposed the unit is: {exposure[1]}, of 10" in read(GUIDE)
