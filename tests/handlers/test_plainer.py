"""What a workspace refuses comes again in plainer blocks: the state and the buttons always arrive."""

from typing import Any

import pytest

from handlers.validating import SPECIMENS
from handlers.views.plainer import NEWER, PLAIN, Refusal, editions, kinds, lacking_since
from sandbox.slack import check_message
from tests.handlers.test_golden import SAID, shown

Json = dict[str, Any]


def raw(*texts: str) -> list[Json]:
    return [{"type": "raw_text", "text": text} for text in texts]


def rich(*elements: Json) -> Json:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


MOMENT = {"type": "date", "timestamp": 1795975200, "format": "{time_secs}", "fallback": "18:00:00 UTC"}
HEADER = {"type": "header", "level": 2, "text": {"type": "plain_text", "text": "🟡 A & *B*: ready"}}
ALARM = {"type": "section", "expand": True, "text": {"type": "mrkdwn", "text": "*Callers fail*"}}
BUTTON = {"type": "button", "action_id": "roll_back", "value": "1", "text": {"type": "plain_text", "text": "Roll back"}}
BUTTONS = {"type": "actions", "block_id": "shown-1234", "elements": [BUTTON]}
POINTS = [{"label": "18:00", "value": 1}]
CHART = {
    "type": "data_visualization",
    "title": "Requests",
    "chart": {
        "type": "line",
        "axis_config": {"categories": ["18:00"]},
        "series": [{"name": "old key", "data": POINTS}],
    },
}
DATA = {
    "type": "data_table",
    "caption": "Models",
    "rows": [raw("Model", "Why", "Last test"), [*raw("chat", "<404> on both keys"), rich(MOMENT)]],
}
PLAN = {
    "type": "plan",
    "title": "2 of 3",
    "tasks": [
        {"type": "task_card", "task_id": "a", "title": "Moved", "status": "complete"},
        {
            "type": "task_card",
            "task_id": "b",
            "title": "Verify",
            "status": "in_progress",
            "details": rich({"type": "text", "text": "1 of 2"}),
        },
        {"type": "task_card", "task_id": "c", "title": "Delete", "status": "pending"},
    ],
}
SMALL = {"type": "context", "elements": [{"type": "mrkdwn", "text": "small print"}]}
FOLDED = {"type": "container", "title": {"type": "plain_text", "text": "Details"}, "child_blocks": [SMALL, BUTTONS]}
ALERT = {"type": "alert", "level": "warning", "text": {"type": "plain_text", "text": "It is not masked."}}


def said(text: str) -> Json:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


WRAPPED = [{"is_wrapped": True}] * 3
TABLE = {"type": "table", "column_settings": WRAPPED, "rows": DATA["rows"]}
FALLBACKS: dict[str, tuple[Json, list[Json], list[Json]]] = {
    "header": (HEADER, [said("*🟡 A &amp; ∗B∗: ready*")], [said("*🟡 A &amp; ∗B∗: ready*")]),
    "a section to unfold": (ALARM, [said("*Callers fail*")], [said("*Callers fail*")]),
    "a chart": (CHART, [], []),
    "a table of pages": (
        DATA,
        [TABLE],
        [
            said(
                "Model · Why · Last test\n"
                "chat · &lt;404&gt; on both keys · <!date^1795975200^{time_secs}|18:00:00 UTC>"
            )
        ],
    ),
    "a plan": (
        PLAN,
        [said("*2 of 3*\n✔ Moved\n◔ Verify   1 of 2\n· Delete")],
        [said("*2 of 3*\n✔ Moved\n◔ Verify   1 of 2\n· Delete")],
    ),
    "an alert": (ALERT, [said("▲ It is not masked.")], [said("▲ It is not masked.")]),
    "a container": (FOLDED, [said("*Details*"), SMALL, BUTTONS], [said("*Details*"), SMALL, BUTTONS]),
    "small print": (SMALL, [SMALL], [SMALL]),
    "buttons": (BUTTONS, [BUTTONS], [BUTTONS]),
    "any other": (rich(MOMENT), [rich(MOMENT)], [said("<!date^1795975200^{time_secs}|18:00:00 UTC>")]),
}  # fmt: skip


@pytest.mark.parametrize("block", FALLBACKS)
def test_each_block_has_its_plainer_editions(block: str) -> None:
    given, first, second = FALLBACKS[block]
    message = {"text": "state", "blocks": [given, said("and")]}
    made = [edition.get("blocks", ())[:-1] for edition in editions(message)]

    assert made[0] == [given]
    assert first in made
    assert second in made


EVERYTHING = {"text": "ready", "blocks": [HEADER, ALARM, BUTTONS, CHART, DATA, PLAN, SMALL]}


def test_the_state_and_the_buttons_are_in_every_edition_but_the_last_which_is_text_alone() -> None:
    made = list(editions(EVERYTHING))

    assert [sorted(kinds(edition) & NEWER) for edition in made] == [sorted(kinds(EVERYTHING) & NEWER), [], [], [], []]
    assert kinds(made[2]) == PLAIN
    assert made[3] == {"text": "ready", "blocks": [said("ready"), BUTTONS]}
    assert made[4] == {"text": "ready"}
    assert all(BUTTONS in edition["blocks"] for edition in made[:4])


def test_no_edition_comes_twice_and_a_known_lack_is_left_out_of_the_first() -> None:
    assert list(editions({"text": "a"})) == [{"text": "a"}]
    first, second, *_ = editions(EVERYTHING, frozenset({"data_table", "header.level", "section.expand"}))

    assert TABLE in first["blocks"]
    assert CHART in first["blocks"]
    assert {"type": "header", "text": HEADER["text"]} in first["blocks"]
    assert CHART not in second["blocks"]


def test_a_text_too_long_for_an_edit_is_cut_at_its_bytes() -> None:
    (edition,) = editions({"text": "ä" * 3000})

    assert 3800 < len(edition["text"].encode()) < 4000


def test_what_has_no_room_is_counted() -> None:
    rows = [raw("Model", "Why", "Last test")]
    rows += [[*raw(f"chat-{number}", "refused " * 12), rich(MOMENT)] for number in range(200)]
    message = {"text": "a", "blocks": [{"type": "data_table", "caption": "Models", "rows": rows}]}
    _, table, lines, *_ = editions(message)

    assert check_message(table["blocks"]) == []
    assert f"and {201 - len(table['blocks'][0]['rows'])} more" in str(table)
    shown = lines["blocks"][0]["text"]["text"].split("\n")
    assert shown[-1].startswith(f"and {201 - len(shown) + 1} more")


def test_a_check_tries_every_block_that_any_message_has() -> None:
    tried = {"blocks": list(SPECIMENS)}

    assert check_message(tried["blocks"]) == []
    assert frozenset().union(*(kinds(shown(name)) for name in SAID)) - {"table"} <= kinds(tried)


POINTED = "unsupported block type: plan [json-pointer:/blocks/5/type]"
REFUSALS: dict[str, tuple[str, tuple[str, ...], set[str]]] = {
    "the blocks that Slack names": ("invalid_blocks", (POINTED,), {"plan"}),
    "a property": (
        "invalid_blocks", ("invalid additional property: level [json-pointer:/blocks/0]",), {"header.level"}
    ),
    "all that the taken edition does not have": (
        "invalid_blocks", (), {"header", "header.level", "section.expand", "data_visualization", "data_table", "plan"}
    ),
    "nothing, of a mistake in a block without which there is no message": (
        "invalid_blocks", ("must be at most 3000 characters [json-pointer:/blocks/1/text/text]",), set()
    ),
    "nothing, of a place that is not there": ("invalid_blocks", ("[json-pointer:/blocks/99]", POINTED), {"plan"}),
    "nothing, where all together is too long": ("msg_blocks_too_long", (), set()),
    "nothing, of a second table": ("only_one_table_allowed", (), set()),
}  # fmt: skip


@pytest.mark.parametrize("remembered", REFUSALS)
def test_what_is_remembered_of_a_refusal(remembered: str) -> None:
    reason, complaints, lacking = REFUSALS[remembered]
    _, taken, *_ = editions(EVERYTHING)

    assert lacking_since(Refusal(EVERYTHING, reason, complaints), taken) == lacking


def test_every_plainer_edition_of_every_message_is_within_slacks_limits() -> None:
    for name, edition in [(said, edition) for said in SAID for edition in editions(shown(said))]:
        assert check_message(edition.get("blocks", [])) == [], name
        assert len(edition["text"].encode()) < 4000, name
