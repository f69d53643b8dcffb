"""The README says what is true: every setting, button, command, dependency and state."""

import re
import tomllib
from pathlib import Path

import pytest

from bot.rotation.policy import Action
from bot.rotation.record import TRANSITIONS, State
from bot.settings import Settings
from handlers.commands import WORDS
from tests.bench.__main__ import ITEMS
from tests.bench.table import between_marks, page, replaced

README = Path("README.md").read_text()
PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text())
PROJECT, BROWSER = PYPROJECT["project"], PYPROJECT["dependency-groups"]["browser"]


def packages() -> list[str]:
    wanted = PROJECT["dependencies"] + PROJECT["optional-dependencies"]["dev"] + BROWSER
    return [re.split(r"[\[<>=]", line)[0] for line in wanted]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"| `{name.upper()}` |" in README


@pytest.mark.parametrize("action", Action)
def test_every_button_is_in_the_readme(action: Action) -> None:
    assert f"| **{action.value}** |" in README


@pytest.mark.parametrize("word", ["status", "history", "help"])
def test_every_command_is_in_the_readme(word: str) -> None:
    assert f"`/rotate-key {word}`" in README
    assert word in WORDS


@pytest.mark.parametrize("package", packages())
def test_every_dependency_has_its_reason_in_the_readme(package: str) -> None:
    table = README.split("## Dependencies")[1].split("\n## ")[0]

    assert re.search(rf"\b{re.escape(package)}\b", table)


def test_the_diagram_of_states_is_the_one_that_the_table_gives() -> None:
    assert diagram() in README, f"put this between the marks:\n{diagram()}"


def diagram() -> str:
    """Draw the table of states for GitHub."""
    lines = [f"    {state} --> {exit_}" for state in State for exit_ in sorted(TRANSITIONS[state])]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> AWAITING_SECRET", *lines, "```"])


def test_the_speed_is_told_in_the_tables_that_the_bench_prints() -> None:
    tables = between_marks(README).strip().split("\n\n**")
    rows = [[line.split(" | ") for line in table.splitlines() if line.startswith("|")] for table in tables]

    assert len(tables) == len(ITEMS), "make bench ARGS=--readme puts them there"
    assert all(len(table) >= 3 and len({len(row) for row in table}) == 1 for table in rows)
    assert replaced(README, page(["a"])) != README
    assert between_marks(replaced(README, page(["a"]))).strip() == "a"


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-browser.lock"])
def test_the_lock_holds_hashes_and_no_address(name: str) -> None:
    lock = Path(name).read_text()

    assert "://" not in lock
    assert lock.count("--hash=sha256:") > lock.count("==")


def test_what_only_the_browser_needs_is_not_installed_for_the_demo() -> None:
    lock, own = Path("requirements.lock").read_text(), Path("requirements-browser.lock").read_text()
    names = [re.split(r"[<>=]", line)[0] for line in BROWSER]

    assert names
    assert not [name for name in names if f"{name}==" in lock]
    assert not [name for name in names if f"{name}==" not in own]


def test_the_project_is_apache_licensed_and_wants_python_3_11() -> None:
    assert PROJECT["license"] == "Apache-2.0"
    assert PROJECT["requires-python"] == ">=3.11"
    assert "Apache-2.0" in README
