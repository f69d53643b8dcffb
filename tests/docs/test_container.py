"""No image is built by a test; what can be known of it without that is held here."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from bot import __version__
from tests.support.documents import ROOT, commands, read

DOCKERFILE = read("Dockerfile")
COPIED = [words.split()[0] for words in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE)]
ENTRY = re.compile(r"^(?=[A-Za-z0-9])", re.MULTILINE)
VIA = re.compile(r"^ +#(?: via)? +([\w.-]+)", re.MULTILINE)
"""Which packages need a package, as the comments of a lock have it."""


def entries(name: str) -> dict[str, str]:
    """Return what a lock says of each package."""
    return {re.split(r"[=\[]", entry)[0]: entry for entry in ENTRY.split(read(name))[1:]}


def pins(name: str) -> dict[str, str]:
    """Return the version, the marker and the hashes of each package of a lock."""
    return {package: re.sub(r"\n *#.*", "", entry) for package, entry in entries(name).items()}


def imported(folder: str) -> set[str]:
    """Return the packages that the modules of *folder* import, wherever in a module."""
    nodes = [node for file in (ROOT / folder).rglob("*.py") for node in ast.walk(ast.parse(file.read_text()))]
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names)


def test_all_that_the_image_copies_is_there_and_let_through_and_no_settings_are() -> None:
    let_through = re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE)

    assert read(".dockerignore").splitlines()[1] == "*"
    assert sorted(COPIED) == sorted(let_through)
    assert all((ROOT / name).exists() for name in COPIED)
    assert not {".", ".env"} & set(COPIED)


def test_all_that_the_bot_imports_is_in_the_image() -> None:
    distributions = packages_distributions()
    locked = set(pins("requirements-run.lock"))
    theirs = (imported("bot") | imported("handlers")) - {
        *COPIED,
        "opentelemetry",
        "jwt",
    }  # which bot/telemetry/otel.py and bot/oidc/ alone need, with their extras
    pinned = {name: {found.lower().replace("_", "-") for found in distributions[name]} for name in theirs}

    assert theirs
    assert [name for name, found in pinned.items() if not found & locked] == []


def test_what_the_bot_runs_on_is_what_it_depends_on_and_what_that_needs_pinned_as_in_the_whole_lock() -> None:
    run = pins("requirements-run.lock")
    wanted = tomllib.loads(read("pyproject.toml"))["project"]["dependencies"]
    needed_by = {package: set(VIA.findall(entry)) for package, entry in entries("requirements.lock").items()}
    needed = {package for package, parents in needed_by.items() if parents & set(run)}

    assert run.items() <= pins("requirements.lock").items()
    assert {re.split(r"[\[<>=]", line)[0].lower() for line in wanted} | needed == set(run)


def test_the_bill_of_materials_has_every_package_that_the_bot_runs_on_with_its_hashes() -> None:
    pytest.importorskip("cyclonedx", reason="`make check` installs it, for `make sbom`")
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    made = subprocess.run([sys.executable, ".ci/sbom"], cwd=ROOT, env=environ, capture_output=True, check=True)
    parts = {
        part["name"]: (part["version"], sorted(each["content"] for each in part["hashes"]))
        for part in json.loads(made.stdout)["components"]
    }
    pinned = {
        package: (re.findall("==([^ ;]+)", pin)[0], sorted(re.findall(r"sha256:(\w+)", pin)))
        for package, pin in pins("requirements-run.lock").items()
    }

    assert parts == pinned


def test_the_image_starts_the_bot_without_root() -> None:
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    user = re.search(r"^USER (\d+)", last, re.MULTILINE)

    assert user is not None
    assert int(user[1]) > 0
    assert 'ENTRYPOINT ["python", "-m", "bot"]' in last
    assert f"-o {user[1]} -g {user[1]} -m 700 /data" in last, "the folder for the data has to be that user's"
    assert "KEYTURN_DATA=/data" in last
    assert f'version="{__version__}"' in last
    assert "HOME=/data" in last, "slack_sdk asks where the user's home is, and a user of a number only has none"


def test_what_the_image_copies_is_enough_for_the_bot_to_begin(tmp_path: Path) -> None:
    for name in ("bot", "handlers"):
        assert name in COPIED
        shutil.copytree(ROOT / name, tmp_path / name)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "PYTHONSAFEPATH": ""}

    begun = subprocess.run(
        [sys.executable, "-m", "bot"], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )

    assert begun.stderr.startswith("Keyturn cannot start. Nothing is set: there is no .env here, ")
    assert begun.returncode == 1


def test_the_guide_runs_it_on_a_read_only_root_with_the_commands_of_the_bot() -> None:
    lines = [line for line in commands("docs/install.md") if line.startswith("docker run")]

    assert {line.split()[-1] for line in lines} == {"check", "web", "worker"}
    assert all("--read-only" in line for line in lines if not line.endswith("check"))
    assert "docker build -t keyturn ." in list(commands("docs/install.md"))
