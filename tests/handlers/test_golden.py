"""Everything that people see, held to its golden file and to Slack's limits."""

import json
from functools import cache
from typing import Any

import pytest

from bot.rotation.progress import next_step
from bot.rotation.states import State, StepName
from handlers.views.evidence import LABELS, LEGEND
from sandbox.slack import check_options, check_view
from sandbox.slack.reading import spoken
from tests.handlers.cases import CASES, HOMES, OPTIONS, ROTATIONS, THREADS, VIEWS
from tests.handlers.limits import complaints
from tests.support.pictures import GOLDEN

SAID = sorted(set(CASES) - set(VIEWS) - set(HOMES) - set(OPTIONS) - set(THREADS))


@cache
def shown(name: str) -> Any:
    """Return what people see of one case."""
    return CASES[name]()


@pytest.mark.parametrize("name", sorted(CASES))
def test_what_people_see_is_what_the_golden_files_hold(name: str, request: pytest.FixtureRequest) -> None:
    file = GOLDEN / f"{name}.json"
    if request.config.getoption("--update-golden"):
        file.write_text(json.dumps(shown(name), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    assert json.loads(file.read_text(encoding="utf-8")) == shown(name), "make golden, and read the diff"


def test_no_golden_file_is_left_over(request: pytest.FixtureRequest) -> None:
    left = [file for file in GOLDEN.glob("*.json") if file.stem not in CASES]
    for file in left if request.config.getoption("--update-golden") else ():
        file.unlink()

    assert [file for file in left if file.exists()] == []


def test_every_message_is_within_slacks_limits_and_no_sentence_shouts_or_is_left_empty() -> None:
    texts = {name: spoken(shown(name)["text"]) for name in SAID}

    assert {name: found for name in SAID if (found := complaints(shown(name)))} == {}
    assert {name for name, text in texts.items() if not text.strip() or ". ." in text} == set()
    assert {name for name, text in texts.items() if "! " in text.replace("<!", "")} == set()
    assert {name for name, text in texts.items() if "  " in text.replace("   ", "")} == set()


def test_every_form_and_option_is_within_slacks_limits_and_no_label_says_what_slack_itself_writes_there() -> None:
    assert [name for name in VIEWS if "(optional)" in json.dumps(shown(name))] == []
    assert {name: found for name in (*VIEWS, *HOMES) if (found := check_view(shown(name)))} == {}
    assert check_options({"options": [shown(name) for name in OPTIONS]}) == []


def test_every_state_every_step_and_every_verdict_is_on_some_golden_card() -> None:
    cards = (shown(name) for name in SAID if name.startswith("card-"))
    tables = (block for card in cards for block in card["blocks"] if block["type"] == "data_table")

    assert {rotation.state for rotation in ROTATIONS.values()} == set(State)
    assert {step.name for rotation in ROTATIONS.values() if (step := next_step(rotation))} == set(StepName)
    assert {LABELS[label] for label in LEGEND} <= {
        cell["text"] for table in tables for row in table["rows"] for cell in row if "text" in cell
    }
