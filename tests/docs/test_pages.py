"""The pages of settings, dependencies, states, speed and gateways, and the project's own files, tell what there is."""

import hashlib
import re
import tomllib
from datetime import timedelta
from inspect import Parameter, signature
from typing import Literal, get_origin

import pytest
import yaml
from pydantic.fields import FieldInfo

from bot import __version__
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways
from bot.aisix.status import StatusPages
from bot.rotation.people import Rules
from bot.rotation.states import TRANSITIONS, State
from bot.settings import Settings
from bot.settings.reading import bounds, unit
from bot.settings.values import LENGTH, SWITCH
from bot.steps.world import Limits
from handlers.announcer import SlackAnnouncer
from tests.bench.__main__ import ITEMS
from tests.docs import settings_page
from tests.support.documents import ROOT, read, rows

PYPROJECT = tomllib.loads(read("pyproject.toml"))
BENCHMARKS = read("docs/benchmarks.md")


WRITE = "python -m tests.docs.settings_page --write"


def test_the_page_and_the_example_of_settings_are_what_the_declarations_give() -> None:
    assert settings_page.page() == read("docs/settings.md"), WRITE
    assert settings_page.example() == read(".env.example"), WRITE


@pytest.mark.parametrize(("name", "field"), Settings.model_fields.items())
def test_a_setting_is_declared_with_its_meaning_and_its_unit(name: str, field: FieldInfo) -> None:
    is_measured = isinstance(field.default, int | timedelta) or name.endswith("port")

    assert field.description
    assert bool(unit(field)) or not is_measured
    assert bounds(field) or unit(field) in ("", LENGTH, SWITCH) or get_origin(field.annotation) is Literal


def test_a_default_is_written_where_the_setting_is_declared_and_nowhere_else() -> None:
    builders = (ControlPlane, Gateways, StatusPages, SlackAnnouncer, Limits, Rules)
    given = {name for build in builders for name, value in signature(build).parameters.items()
             if value.default is not Parameter.empty}  # fmt: skip

    assert given == {"most", "credentials"}, "ANSWER_LIMIT's default is the constant that the clients have"


def test_every_dependency_has_its_reason() -> None:
    project, groups = PYPROJECT["project"], PYPROJECT["dependency-groups"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"], *groups["browser"], *groups["audit"]]
    names = " ".join(name for name, _why in rows("docs/dependencies.md", "Dependencies, and why each is there"))

    assert [line for line in wanted if not re.search(rf"\b{re.split(r'[<>=[]', line)[0]}\b", names)] == []


def test_the_diagram_of_states_is_the_one_that_the_table_gives() -> None:
    lines = [f"    {state} --> {exit_}" for state in State for exit_ in sorted(TRANSITIONS[state])]
    diagram = "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> AWAITING_SECRET", *lines, "```"])

    assert diagram in read("docs/how-it-works.md"), f"put this between the marks:\n{diagram}"


def test_the_speed_is_told_in_the_tables_that_the_bench_prints() -> None:
    tables = BENCHMARKS.split("<!-- bench -->")[1].split("<!-- /bench -->")[0].strip().split("\n\n**")
    lines = [[line.split(" | ") for line in table.splitlines() if line.startswith("|")] for table in tables]

    assert len(tables) == len(ITEMS), "make bench ARGS=--write puts them there"
    assert all(len(table) >= 3 and len({len(row) for row in table}) == 1 for table in lines)


def test_every_story_with_real_gateways_is_in_the_guide_with_what_came_out_and_no_other() -> None:
    files = (ROOT / "tests/gateway").glob("test_*.py")
    claims = [claim for file in files for claim in re.findall(r"^async def test_(\w+)", file.read_text(), re.MULTILINE)]
    table = {story: came_out for story, _runs, came_out in rows("docs/gateways.md", "What came out")}

    assert set(table) == {claim.replace("_", " ") for claim in claims}
    assert all(table.values())


# --- the licence, the changelog and the commit hooks ---

APACHE_2 = "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30"
"""The digest of the licence's text as apache.org has it."""

GROUPS = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_licence_is_the_apache_text_word_for_word() -> None:
    assert hashlib.sha256(read("LICENSE").encode()).hexdigest() == APACHE_2
    assert PYPROJECT["project"]["license"] == "Apache-2.0"


def test_the_changelog_has_the_form_of_keep_a_changelog_and_its_newest_version_is_the_projects() -> None:
    first, *released = re.findall(r"^## (.+)$", read("CHANGELOG.md"), re.MULTILINE)
    versions = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - \d{4}-\d\d-\d\d", title) for title in released]

    assert first == "[Unreleased]"
    assert all(versions)
    assert versions[0] is not None
    assert versions[0][1] == __version__
    assert set(re.findall(r"^### (.+)$", read("CHANGELOG.md"), re.MULTILINE)) <= GROUPS


def test_the_hooks_run_what_make_check_runs_in_its_order() -> None:
    repositories = yaml.safe_load(read(".pre-commit-config.yaml"))["repos"]
    hooks = [hook for repository in repositories for hook in repository["hooks"]]
    recipe = re.search(r"^check:.*\n((?:\t.+\n)+)", read("Makefile"), re.MULTILINE)
    lines = recipe[1].replace("$(BIN)", ".venv/bin").splitlines() if recipe else []

    assert {repository["repo"] for repository in repositories} == {"local"}, "a hook fetches nothing"
    assert [hook["entry"] for hook in hooks] == [line.strip().lstrip("@") for line in lines]
    assert not any(hook["pass_filenames"] for hook in hooks)
