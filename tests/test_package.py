"""`pip install .` gives a `keyturn` command, and `make` installs what a target needs and no more."""

import importlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from email.parser import Parser
from fnmatch import fnmatch
from pathlib import Path
from zipfile import ZipFile

import pytest
from click.testing import CliRunner

from bot import __version__
from bot.cli import entry, main

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
COMMANDS = [[], ["web"], ["worker"], ["check"], ["doctor"], ["carry-over"], ["audit"], ["audit", "export"]]
PACKED = ("pyproject.toml", "README.md", "LICENSE", "MANIFEST.in", "bot", "handlers", "sandbox", "tests")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> ZipFile:
    """The wheel that pip builds of a copy, so that nothing is left in the checkout."""
    pytest.importorskip("setuptools", minversion="77")
    source = tmp_path_factory.mktemp("source")
    for name in PACKED:
        path, skip = ROOT / name, shutil.ignore_patterns("__pycache__")
        shutil.copytree(path, source / name, ignore=skip) if path.is_dir() else shutil.copy(path, source)
    build = "import setuptools.build_meta as backend; backend.build_wheel('.')"
    subprocess.run([sys.executable, "-c", build], cwd=source, check=True, capture_output=True, text=True)
    return ZipFile(next(source.glob("*.whl")))


def metadata(wheel: ZipFile, name: str) -> str:
    return wheel.read(f"keyturn-{__version__}.dist-info/{name}").decode()


def test_the_wheel_holds_the_bot_and_its_handlers_and_no_test_and_no_sandbox(wheel):
    names = {name for name in wheel.namelist() if not name.startswith("keyturn-")}
    modules = {str(path.relative_to(ROOT)) for folder in ("bot", "handlers") for path in (ROOT / folder).rglob("*.py")}

    assert names == modules | {"bot/py.typed", "handlers/py.typed"}


def test_the_wheel_says_what_it_is_and_holds_the_licence(wheel):
    said = Parser().parsestr(metadata(wheel, "METADATA"))

    assert (said["Name"], said["Version"], said["License-Expression"]) == ("keyturn", __version__, "Apache-2.0")
    assert said["Requires-Python"] == ">=3.11"
    assert "Typing :: Typed" in said.get_all("Classifier")
    assert set(said.get_all("Provides-Extra")) == {"demo", "dev"}
    assert metadata(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert metadata(wheel, "entry_points.txt").splitlines() == ["[console_scripts]", "keyturn = bot.cli:entry"]


@pytest.mark.parametrize("folder", ["sandbox", "tests"])
def test_what_is_not_the_bot_is_not_packed(folder):
    assert not [pattern for pattern in PYPROJECT["tool"]["setuptools"]["packages"]["find"]["include"]
                if fnmatch(folder, pattern)]  # fmt: skip


def test_the_command_is_the_function_that_the_package_names(monkeypatch, capsys):
    module, _, function = PROJECT["scripts"]["keyturn"].partition(":")
    monkeypatch.setattr(sys, "argv", ["/usr/bin/keyturn", "--version"])

    with pytest.raises(SystemExit) as ended:
        getattr(importlib.import_module(module), function)()

    assert ended.value.code == 0
    assert capsys.readouterr().out == f"keyturn {__version__}\n"


def test_a_setting_that_is_missing_ends_the_command_with_a_sentence(monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SLACK_BOT_TOKEN", raising=False)
    monkeypatch.setattr(sys, "argv", ["keyturn", "check"])

    with pytest.raises(SystemExit) as ended:
        entry()

    assert ended.value.code == 1
    assert capsys.readouterr().err.startswith("Keyturn cannot start. SLACK_BOT_TOKEN is missing")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_help_is_whole_sentences(command, option):
    said = CliRunner().invoke(main, [*command, option])

    assert said.exit_code == 0
    assert "..." not in said.output.partition("\n")[2]
    assert all(line.endswith(".") for line in said.output.partition("Commands:\n")[2].splitlines())


def made(*arguments: str, folder: Path = ROOT) -> str:
    environ = {"PATH": os.environ["PATH"]}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environ, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize(
    ("target", "locks"),
    [
        ("install", ["requirements-run.lock"]),
        ("run", ["requirements-run.lock"]),
        ("demo", ["requirements-run.lock", "requirements-demo.lock"]),
        ("play", ["requirements-run.lock", "requirements-demo.lock"]),
        ("golden", ["requirements.lock"]),
    ],
)
def test_a_target_installs_the_lock_it_needs_and_no_other(target, locks, tmp_path):
    for path in [ROOT / "Makefile", *ROOT.glob("*.lock")]:
        shutil.copy(path, tmp_path)

    assert re.findall(r"-r (\S+)", made("-n", target, folder=tmp_path)) == locks


def test_the_first_demo_says_what_it_waits_for_and_shows_the_progress_of_pip(tmp_path):
    for path in [ROOT / "Makefile", *ROOT.glob("*.lock")]:
        shutil.copy(path, tmp_path)
    lines = made("-n", "demo", folder=tmp_path).splitlines()
    pip = next(line for line in lines if "pip install" in line)

    assert "--quiet" not in pip
    assert lines[lines.index(pip) - 1].startswith('echo "Installing what the bot runs on')


def test_the_lock_of_the_demo_is_what_its_extra_needs_beside_the_bot():
    def pinned(name: str) -> dict[str, str]:
        return dict(re.findall(r"^([a-z][\w.-]*)==(\S+)", (ROOT / name).read_text(), re.MULTILINE))

    demo, run, whole = map(pinned, ("requirements-demo.lock", "requirements-run.lock", "requirements.lock"))

    assert PROJECT["optional-dependencies"]["demo"] == PYPROJECT["dependency-groups"]["demo"]
    assert {re.split(r"[<>=]", line)[0] for line in PROJECT["optional-dependencies"]["demo"]} <= demo.keys()
    assert not demo.keys() & run.keys()
    assert demo.items() | run.items() <= whole.items()


def test_make_help_lists_every_target():
    phony = re.search(r"^\.PHONY: (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert phony is not None
    listed = [line.split()[0] for line in made("help").splitlines()]

    assert set(phony[1].split()) <= set(listed)
    assert all(len(line.split()) > 1 for line in made("help").splitlines())
