"""The guides to operate it know every state, step, verdict, stop, button, sentence, event and metric; and no other."""

import ast
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any

import pytest

from bot.aisix.answers import BY_STATUS, BY_TYPE
from bot.rotation.actions import Action
from bot.rotation.documents import FLAWS, FLAWS_OF_A_VALUE, FLAWS_OF_THE_WHOLE, LONE, LOOKS, UNREADABLE
from bot.rotation.pastes import AROUND_A_KEY, NO_KEY, SPELLING, WRONG_KEY
from bot.rotation.policy import NO_MEMBER
from bot.rotation.states import BACK, FORWARD, MEANING, State
from bot.rotation.stops import HELP, Cause, StopKind
from handlers.views.evidence import LABELS, LEGEND
from handlers.views.words import MARKS
from tests.support.documents import ROOT, anchors, read, rows
from tests.support.pictures import GOLDEN

GUIDE = "docs/operate.md"
STOPS = "docs/stops.md"
MESSAGES = "docs/messages.md"
ADMINISTER = "docs/administer.md"
MODULES = sorted([*(ROOT / "bot").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")])


@cache
def calls() -> dict[str, list[ast.Call]]:
    """Return every call in the program by what is called."""
    found = defaultdict[str, list[ast.Call]](list)
    for node in (node for module in MODULES for node in ast.walk(ast.parse(module.read_text()))):
        if isinstance(node, ast.Call):
            found[ast.unparse(node.func)].append(node)
    return found


# --- states, steps, verdicts, buttons ---


def test_the_table_of_states_is_the_programs() -> None:
    table = {state.strip("`"): (mark, said) for mark, state, said, *_ in rows(GUIDE, "States")}

    assert set(table) == set(State)
    for state in State:
        mark, said = table[state]
        assert mark == MARKS[state]
        assert said.startswith(MEANING[state])


@pytest.mark.parametrize("track", [FORWARD, BACK], ids=["forward", "back"])
def test_the_steps_are_the_programs_in_their_order(track: Any) -> None:
    place = 0
    for step in track:
        row = re.compile(rf"^\| {re.escape(step.title)} \| (.*?) \|", re.MULTILINE)
        found = row.search(read(GUIDE), place)
        assert found, step.title
        assert found[1] == step.doing or step.name == "watch"
        place = found.end()


def test_the_verdicts_are_those_of_the_legend_in_its_order_here_and_in_the_glossary() -> None:
    table = [(verdict.strip("`"), meaning) for verdict, meaning, _ in rows(GUIDE, "Verdicts")]
    glossary = read("docs/glossary.md").split("The verdicts, the worst first:\n")[1].split("\n## ")[0]

    assert table == [(LABELS[label], meaning) for label, meaning in LEGEND.items()]
    assert re.findall(r"^\| `(.+?)` \|", glossary, re.MULTILINE) == list(LEGEND)


def test_every_kind_of_stop_offers_what_the_guide_says() -> None:
    table = {kind.strip("`"): re.findall(r"\*\*(.+?)\*\*", buttons) for kind, buttons in rows(STOPS, "Stops")}

    assert table == {kind.value: [action.value for action in HELP[kind].offers] for kind in StopKind}


def test_every_button_is_explained() -> None:
    buttons = " ".join(" ".join(row) for row in rows(GUIDE, "States")) + read(GUIDE).split("| button |")[1]

    assert [action for action in Action if f"**{action.value}**" not in buttons] == []


# --- stops ---


def runbook() -> dict[str, str]:
    """Return the text of each stop in the guide."""
    (part,) = re.findall(r"^## By headline$(.*?)(?=^## |\Z)", read(STOPS), re.MULTILINE | re.DOTALL)
    return dict(entry.split("\n", 1) for entry in part.split("\n### ")[1:])


def test_the_runbook_has_every_stop_of_the_program_and_no_other() -> None:
    assert len(Cause) > 15
    assert set(runbook()) == {cause.headline for cause in Cause}


@pytest.mark.parametrize("cause", Cause)
def test_a_stop_is_raised_somewhere_and_the_guide_tells_its_kind_and_buttons(cause: Cause) -> None:
    page, anchor = cause.anchor.split("#")
    text = runbook()[cause.headline]
    pressed = re.findall(r"\*\*([A-Z][a-z]+ [a-z ]+?)\*\*", text)
    named = {action for action in Action if action.value in pressed}

    assert any(f"Cause.{cause.name}" in path.read_text() for path in MODULES)
    assert anchor in anchors(page)
    assert text.strip().startswith(f"Kind `{cause.kind}`")
    assert named
    assert named <= {*HELP[cause.kind].offers}


# --- sentences ---

SENTENCES = "\n".join(map(read, (GUIDE, STOPS, MESSAGES)))
"""What is read by people who have a sentence in front of them."""

NUMBERS = re.compile(r"\d[\d,.:]*\d|\d")
SPOKEN = [
    (re.compile(r"<!date\^[^>]*>|<[@!#][^>]*>|<https[^>|]*\|[^>]*>|@[a-z]+\b|`[^`]*`|pk_\w+"), "…"),
    (re.compile(r"[*▲•✔“”\"]"), ""),
    (NUMBERS, "…"),
    (re.compile(r" \(…[^)]*error[^)]*\)"), ""),
    (re.compile(r"\b(model|environment|replica|request|approver|minute|thing|alias)e?s\b"), r"\1"),
    (re.compile(r"\b(are|is)\b"), "is"),
    (re.compile(r"\s+"), " "),
]


def plain(text: str) -> str:
    """Return *text* without what differs from rotation to rotation."""
    for pattern, instead in SPOKEN:
        text = pattern.sub(instead, text)
    return text


PARTS = re.compile(r"(?<=[.:;])\s|: | · |\n|^. Rotate … ")
VARIES = {
    "testing every model on the old key, … of",
    "verifying with live request, … of",
    "waiting for the gateways, … environment not synced yet",
    "in production, and … more",
}
"""How far a step has got, behind its name; and the end of a list."""


def said(card: dict[str, Any]) -> Iterator[str]:
    """Yield every clause of a card that has some words of ours."""
    for block in card["blocks"]:
        texts = [block["text"]] if block["type"] == "section" else block.get("elements", [])
        for text in (text["text"] for text in texts if text["type"] == "mrkdwn"):
            parts = (part.strip(" .,;:…") for line in text.split("\n") for part in PARTS.split(plain(line)))
            yield from (part for part in parts if len(re.findall(r"[a-z]{2,}", part)) > 2)


CARDS = [card for card in GOLDEN.glob("card-*.json") if "hostile" not in card.stem]


def test_every_sentence_of_every_card_is_in_the_guide() -> None:
    guide = plain(SENTENCES)
    clauses = {clause for card in CARDS for clause in said(json.loads(card.read_text()))}

    assert len(clauses) > 100
    assert sorted(clause for clause in clauses - VARIES if clause not in guide) == []


def texts(node: ast.AST) -> Iterator[str]:
    """Yield what a part of the code always says, whatever is put into it."""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            yield part.value


def refusals() -> Iterator[str]:
    """Yield what only one person sees."""
    kinds = ("NotAllowed", "WrongState", "Late", "BadInput", "Unanswerable")
    arguments = (argument for kind in kinds for call in calls()[kind] for argument in call.args)
    yield from (text for each in arguments if isinstance(each, ast.JoinedStr | ast.Constant) for text in texts(each))


def reasons() -> Iterator[str]:
    """Yield how the answer of a model is judged."""
    yield from (reason for _, reason in (*BY_TYPE.values(), *BY_STATUS.values()))
    for node in ast.walk(ast.parse((ROOT / "bot/aisix/answers.py").read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.startswith(("judge", "_judge")):
            for part in (part for part in ast.walk(node) if isinstance(part, ast.Return)):
                yield from texts(part)


PASTES = [
    *(told for _, told in (*NO_KEY, *AROUND_A_KEY, *WRONG_KEY, *SPELLING)),
    *(told for _, told in (*FLAWS_OF_THE_WHOLE, *LOOKS, *FLAWS, *FLAWS_OF_A_VALUE)),
    *(told for flaws in LONE.values() for _, told in flaws),
    UNREADABLE,
]
TOLD: dict[str, Callable[[], Iterable[str]]] = {
    "refusals": refusals,
    "who is no full member": lambda: [said for told in NO_MEMBER.values() for said in told],
    "how an answer of a model is judged": reasons,
    "what is wrong with a paste": lambda: [part for told in PASTES for part in re.split("SHAPE|NAME", told)],
}


@pytest.mark.parametrize("what", TOLD)
def test_every_sentence_that_only_one_person_sees_is_in_the_guide(what: str) -> None:
    guide = plain(SENTENCES)
    parts = {plain(part).strip(" …<>`(") for part in TOLD[what]()}

    assert len(parts) > 5
    assert sorted(part for part in parts if len(re.findall(r"[a-z]{2,}", part)) > 2 and part not in guide) == []


# --- logs ---

LEVELS = ("debug", "info", "warning", "error", "exception")


def test_every_event_of_the_log_is_in_the_guide_with_its_level_and_no_other() -> None:
    logged: dict[str, set[str]] = {}
    for level in LEVELS:
        for call in calls()[f"log.{level}"]:
            event = ast.literal_eval(call.args[0])
            logged.setdefault(event, set()).add("error" if level == "exception" else level)
    table = {
        event: set(levels.split(", "))
        for names, levels, *_ in rows(ADMINISTER, "Logs")
        for event in re.findall(r"`(\w+)`", names)
    }

    assert table == logged
