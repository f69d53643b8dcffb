"""`pip install .` gives a `keyturn` command, and `make` installs what a target needs and no more."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.parser import Parser
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from bot import __version__
from bot.cli import main

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, GROUPS = PYPROJECT["project"], PYPROJECT["dependency-groups"]
COMMANDS = ["", "web", "worker", "check", "doctor", "carry-over", "audit", "audit export", "receipt"]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "bot", "handlers", "sandbox", "tests", "deploy")


def test_the_wheel_holds_the_bot_and_its_handlers_and_no_test_and_no_sandbox_and_says_what_it_is(tmp_path):
    """It is built of a copy, so that nothing is left in the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    for name in PACKED:
        path, skip = ROOT / name, shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, tmp_path / name, ignore=skip) if path.is_dir() else shutil.copy(path, tmp_path)
    build = "import setuptools.build_meta as backend; backend.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=tmp_path, check=True, capture_output=True, text=True)
    wheel = ZipFile(next(tmp_path.glob("*.whl")))
    modules = {str(path.relative_to(ROOT)) for folder in ("bot", "handlers") for path in (ROOT / folder).rglob("*.py")}

    def metadata(name: str) -> str:
        return wheel.read(f"keyturn-{__version__}.dist-info/{name}").decode()

    names = {name for name in wheel.namelist() if not name.startswith("keyturn-")}
    assert names == modules | {"bot/py.typed", "handlers/py.typed"}
    said = Parser().parsestr(metadata("METADATA"))
    assert (said["Name"], said["Version"], said["License-Expression"]) == ("keyturn", __version__, "Apache-2.0")
    assert said["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in said.get_all("Classifier")
    assert set(said.get_all("Provides-Extra")) == {"demo", "dev", "oidc", "otel"}
    assert metadata("licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert metadata("entry_points.txt").splitlines() == ["[console_scripts]", "keyturn = bot.cli:entry"]


@pytest.mark.parametrize(
    ("typed", "ends"),
    [
        ("--version", (0, f"keyturn {__version__}\n", "")),
        ("check", (1, "", "Keyturn cannot start. Nothing is set")),
    ],
)
def test_the_command_is_the_function_that_the_package_names(monkeypatch, capsys, tmp_path, typed, ends):
    module, _, function = PROJECT["scripts"]["keyturn"].partition(":")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    monkeypatch.setattr(sys, "argv", ["/usr/bin/keyturn", typed])

    with pytest.raises(SystemExit) as ended:
        getattr(importlib.import_module(module), function)()

    said = capsys.readouterr()
    assert (ended.value.code, said.out, said.err.partition(":")[0]) == ends


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_is_whole_sentences(command, option):
    said = CliRunner().invoke(main, [*command.split(), option])

    assert said.exit_code == 0
    assert "..." not in said.output.partition("\n")[2]
    assert all(line.endswith(".") for line in said.output.partition("Commands:\n")[2].splitlines())


def made(*arguments: str, folder: Path = ROOT) -> str:
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(("target", "locks"), [("run", ["-run"]), ("demo", ["-run", "-demo"]), ("golden", [""])])
def test_a_target_installs_the_lock_it_needs_and_no_other_and_shows_the_progress_of_pip(target, locks, tmp_path):
    for path in [ROOT / "Makefile", *ROOT.glob("*.lock")]:
        shutil.copy(path, tmp_path)
    lines = made("-n", target, folder=tmp_path).splitlines()
    pip = next(line for line in lines if "pip install" in line)

    assert re.findall(r"-r requirements(\S*)\.lock", "\n".join(lines)) == locks
    assert "--quiet" not in pip
    assert lines[lines.index(pip) - 1].startswith('echo "Installing what ')


def pinned(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z][\w.-]*)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))


@pytest.mark.parametrize(
    ("group", "beside", "within"),
    [("demo", "requirements-run.lock", "requirements.lock"), ("browser", "requirements.lock", None)],
)
def test_a_lock_has_what_its_group_needs_beside_the_others(group, beside, within):
    name = f"requirements-{group}.lock"
    own, other = pinned(name), pinned(beside)

    assert {re.split(r"[<>=]", line)[0] for line in GROUPS[group]} <= own.keys()
    assert not own.keys() & other.keys()
    assert PROJECT["optional-dependencies"].get(group, GROUPS[group]) == GROUPS[group]
    if within:
        assert own.items() | other.items() <= pinned(within).items()
    assert "://" not in (ROOT / name).read_text()
    assert (ROOT / name).read_text().count("--hash=sha256:") > len(own)


def test_make_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = [line.split()[0] for line in made("help").splitlines()]

    assert set(phony[1].split()) <= set(listed)
    assert all(len(line.split()) > 1 for line in made("help").splitlines())
