"""The pages of settings, dependencies, states and speed have what the program has."""

import re
import tomllib

import pytest

from bot.rotation.states import TRANSITIONS, State
from bot.settings import Settings
from tests.bench.__main__ import ITEMS
from tests.bench.table import between_marks, page, replaced
from tests.support.documents import read, rows

PYPROJECT = tomllib.loads(read("pyproject.toml"))
BENCHMARKS = read("docs/benchmarks.md")


def settings() -> dict[str, str]:
    """Return the page's default of every setting."""
    return {name.strip("`"): default for name, default, _meaning in rows("docs/settings.md", "Settings")}


def test_every_setting_is_on_the_page_once_and_no_other() -> None:
    names = [row[0].strip("`") for row in rows("docs/settings.md", "Settings")]

    assert sorted(names) == sorted(name.upper() for name in Settings.model_fields)


@pytest.mark.parametrize("name", [name for name, field in Settings.model_fields.items() if field.is_required()])
def test_a_setting_without_a_default_is_said_to_be_required(name: str) -> None:
    assert settings()[name.upper()] == "required"


def packages() -> list[str]:
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], *groups["browser"], *groups["audit"]]
    return [re.split(r"[\[<>=]", line)[0] for line in wanted]


@pytest.mark.parametrize("package", packages())
def test_every_dependency_has_its_reason(package: str) -> None:
    names = " ".join(name for name, _why in rows("docs/dependencies.md", "Dependencies, and why each is there"))

    assert re.search(rf"\b{re.escape(package)}\b", names)


def test_the_diagram_of_states_is_the_one_that_the_table_gives() -> None:
    assert diagram() in read("docs/how-it-works.md"), f"put this between the marks:\n{diagram()}"


def diagram() -> str:
    """Draw the table of states for GitHub."""
    lines = [f"    {state} --> {exit_}" for state in State for exit_ in sorted(TRANSITIONS[state])]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> AWAITING_SECRET", *lines, "```"])


def test_the_speed_is_told_in_the_tables_that_the_bench_prints() -> None:
    tables = between_marks(BENCHMARKS).strip().split("\n\n**")
    lines = [[line.split(" | ") for line in table.splitlines() if line.startswith("|")] for table in tables]

    assert len(tables) == len(ITEMS), "make bench ARGS=--write puts them there"
    assert all(len(table) >= 3 and len({len(row) for row in table}) == 1 for table in lines)
    assert replaced(BENCHMARKS, page(["a"])) != BENCHMARKS
    assert between_marks(replaced(BENCHMARKS, page(["a"]))).strip() == "a"
