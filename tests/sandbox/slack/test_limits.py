"""What Slack refuses in blocks and views, limit by limit."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.slack import check_message, check_options, check_view

DIVIDER = {"type": "divider"}


def plain(words):
    return {"type": "plain_text", "text": words}


def mrkdwn(words):
    return {"type": "mrkdwn", "text": words}


def section(words="x", **more):
    return {"type": "section", "text": mrkdwn(words), **more}


def button(words="Go", **more):
    return {"type": "button", "text": plain(words), **more}


def actions(*elements):
    return {"type": "actions", "elements": list(elements)}


def cell(words="x"):
    return {"type": "raw_text", "text": words}


def table(rows=1, columns=1, words="x", **more):
    return {"type": "table", "rows": [[cell(words)] * columns] * rows, **more}


def rich(*words):
    parts = [{"type": "text", "text": each} for each in words]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}


def options(count, label="x", value="x"):
    return [{"text": plain(label), "value": value}] * count


def select(**more):
    return {"type": "static_select", "action_id": "pick", **more}


def dialog(title=1, words=1, confirm=1, deny=1):
    texts = {"title": title, "text": words, "confirm": confirm, "deny": deny}
    return {part: plain("x" * length) for part, length in texts.items()}


def field(**element):
    return {"type": "input", "label": plain("Secret"), "element": {"type": "plain_text_input", **element}}


def modal(*blocks, **more):
    return {"type": "modal", "title": plain("New secret"), "blocks": list(blocks) or [DIVIDER], **more}


def task(**more):
    return {"type": "task_card", "task_id": "t", "title": "Move", "status": "pending", **more}


FITS = {
    "nothing": [],
    "50 blocks": [DIVIDER] * 50,
    "section of 3000": [section("x" * 3000)],
    "10 fields of 2000": [{"type": "section", "fields": [mrkdwn("x" * 2000)] * 10}],
    "header of 150": [{"type": "header", "text": plain("x" * 150)}],
    "10 context elements": [{"type": "context", "elements": [mrkdwn("x")] * 10}],
    "25 buttons": [actions(*[button(action_id=str(n)) for n in range(25)])],
    "button of 75 and 2000": [actions(button("x" * 75, value="x" * 2000, style="danger"))],
    "dialog at its limits": [actions(button(confirm=dialog(100, 300, 30, 30)))],
    "table of 100 x 20": [table(100, 20, "x" * 5)],
    "table cells of every kind": [{"type": "table", "rows": [[cell(), {"type": "raw_number", "value": 1}, rich("x")]]}],
    "table with settings": [table(column_settings=[{"align": "right", "is_wrapped": True}, None])],
    "menu of 100": [section(accessory=select(options=options(100, "x" * 75, "x" * 150)))],
    "plan with tasks": [{"type": "plan", "title": "Rotation", "tasks": [task(output=rich("done"))]}],
    "a task card": [task(status="in_progress")],
    "markdown of 12000": [{"type": "markdown", "text": "x" * 12_000}],
    "rich text": [rich("one", "two")],
    "container": [{"type": "container", "title": plain("More"), "child_blocks": [section()]}],
    "card": [{"type": "card", "title": mrkdwn("x" * 150), "body": mrkdwn("x" * 200), "actions": [button()] * 3}],
    "input": [field(action_id="a")],
    "data table": [{"type": "data_table", "caption": "Models", "rows": [[cell()], [cell()]]}],
    "image": [{"type": "image", "alt_text": "x", "image_url": "https://example.com/x.png"}],
}
TOO_MUCH = {
    "not a list": ({}, "must be an array"),
    "51 blocks": ([DIVIDER] * 51, "no more than 50"),
    "section of 3001": ([section("x" * 3001)], "/blocks/0/text/text"),
    "empty section": ([section("")], "at least 1"),
    "section without text": ([{"type": "section"}], "one of text, fields"),
    "11 fields": ([{"type": "section", "fields": [mrkdwn("x")] * 11}], "no more than 10"),
    "field of 2001": ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text"),
    "header of 151": ([{"type": "header", "text": plain("x" * 151)}], "at most 150"),
    "header in mrkdwn": ([{"type": "header", "text": mrkdwn("x")}], "unsupported text type: mrkdwn"),
    "11 context elements": ([{"type": "context", "elements": [mrkdwn("x")] * 11}], "no more than 10"),
    "26 buttons": ([actions(*[button()] * 26)], "no more than 25"),
    "no buttons": ([actions()], "no fewer than 1"),
    "button of 76": ([actions(button("x" * 76))], "at most 75"),
    "value of 2001": ([actions(button(value="x" * 2001))], "at most 2000"),
    "empty value": ([actions(button(value=""))], "at least 1"),
    "strange style": ([actions(button(style="green"))], "primary, danger"),
    "button in mrkdwn": ([actions({"type": "button", "text": mrkdwn("x")})], "unsupported text type"),
    "action_id of 256": ([actions(button(action_id="x" * 256))], "at most 255"),
    "action_id twice": ([actions(button(action_id="a"), button(action_id="a"))], "used more than once"),
    "block_id twice": ([section(block_id="b"), section(block_id="b")], "used more than once"),
    "block_id of 256": ([section(block_id="x" * 256)], "at most 255"),
    "dialog title of 101": ([actions(button(confirm=dialog(title=101)))], "confirm/title"),
    "dialog text of 301": ([actions(button(confirm=dialog(words=301)))], "confirm/text"),
    "dialog confirm of 31": ([actions(button(confirm=dialog(confirm=31)))], "confirm/confirm"),
    "dialog deny of 31": ([actions(button(confirm=dialog(deny=31)))], "confirm/deny"),
    "table of 101 rows": ([table(101)], "no more than 100"),
    "table of 21 columns": ([table(1, 21)], "no more than 20"),
    "two tables": ([table(), table()], "only_one_table_allowed"),
    "table text of 10001": ([table(10, 10, "x" * 101)], "at most 10000"),
    "empty cell": ([table(words="")], "at least 1"),
    "mrkdwn cell": ([{"type": "table", "rows": [[mrkdwn("x")]]}], "unsupported table cell"),
    "101 options": ([section(accessory=select(options=options(101)))], "no more than 100"),
    "option of 76": ([section(accessory=select(options=options(1, "x" * 76)))], "at most 75"),
    "option value of 151": ([section(accessory=select(options=options(1, "x", "x" * 151)))], "at most 150"),
    "no options": ([section(accessory=select())], "either options or option_groups"),
    "6 in an overflow": ([section(accessory={"type": "overflow", "options": options(6)})], "no more than 5"),
    "markdown in all": ([{"type": "markdown", "text": "x" * 6001}] * 2, "at most 12000"),
    "alert in a message": ([{"type": "alert", "text": plain("x")}], "unsupported block type: alert"),
    "unknown block": ([{"type": "banner"}], "unsupported block type: banner"),
    "unknown element": ([actions({"type": "password"})], "unsupported element type: password"),
    "unknown property": ([section(colour="red")], "invalid additional property: colour"),
    "strange task": ([task(status="failed")], "pending, in_progress"),
    "empty rich text": ([rich("")], "at least 1"),
    "no text object": ([{"type": "section", "text": "x"}], "unsupported text type"),
    "masked input": ([field(type="password")], "unsupported element type: password"),
    "max_length of 3001": ([field(max_length=3001)], "0/element/max_length"),
    "image from nowhere": ([{"type": "image", "alt_text": "x"}], "image_url or slack_file"),
}
VIEWS_FIT = {
    "100 blocks": modal(*[DIVIDER] * 100),
    "an alert": modal({"type": "alert", "level": "warning", "text": plain("x" * 200)}),
    "a form": modal(field(max_length=3000, multiline=True), submit=plain("Create"), close=plain("Cancel")),
    "metadata of 3000": modal(private_metadata="x" * 3000, callback_id="c", notify_on_close=True),
    "an external select": modal(
        {**field(), "element": {"type": "external_select", "min_query_length": 0}}, submit=plain("Go")
    ),
    "a home tab": {"type": "home", "blocks": [section()]},
}
VIEWS_TOO_MUCH = {
    "title of 25": (modal(title=plain("x" * 25)), "at most 24"),
    "submit of 25": (modal(submit=plain("x" * 25)), "/view/submit"),
    "close of 25": (modal(close=plain("x" * 25)), "/view/close"),
    "101 blocks": (modal(*[DIVIDER] * 101), "no more than 100"),
    "metadata of 3001": (modal(private_metadata="x" * 3001), "at most 3000"),
    "input without submit": (modal(field()), "submit"),
    "a table": (modal(table()), "unsupported block type: table"),
    "a plan": (modal({"type": "plan", "title": "x"}), "unsupported block type: plan"),
    "markdown": (modal({"type": "markdown", "text": "x"}), "unsupported block type: markdown"),
    "alert of 201": (modal({"type": "alert", "text": plain("x" * 201)}), "at most 200"),
    "label of 2001": (modal({**field(), "label": plain("x" * 2001)}, submit=plain("Go")), "at most 2000"),
    "placeholder of 151": (modal(field(placeholder=plain("x" * 151)), submit=plain("Go")), "at most 150"),
    "two focused": (modal(field(focus_on_load=True), field(focus_on_load=True), submit=plain("Go")), "focus_on_load"),
    "lengths crossed": (modal(field(min_length=9, max_length=3), submit=plain("Go")), "must not exceed"),
    "no title": ({"type": "modal", "blocks": [DIVIDER]}, "missing required field: title"),
    "no type": ({"blocks": [DIVIDER]}, "unsupported view type"),
    "block_id twice": (modal({**DIVIDER, "block_id": "b"}, {**DIVIDER, "block_id": "b"}), "used more than once"),
    "a message's field": (modal(text="x"), "invalid additional property: text"),
}


@pytest.mark.parametrize("blocks", FITS.values(), ids=FITS)
def test_a_message_within_the_limits_is_taken(blocks):
    assert check_message(blocks) == []


@pytest.mark.parametrize(("blocks", "why"), TOO_MUCH.values(), ids=TOO_MUCH)
def test_a_message_past_a_limit_is_refused_with_its_reason(blocks, why):
    assert why in " ".join(check_message(blocks))


@pytest.mark.parametrize("view", VIEWS_FIT.values(), ids=VIEWS_FIT)
def test_a_view_within_the_limits_is_taken(view):
    assert check_view(view) == []


@pytest.mark.parametrize(("view", "why"), VIEWS_TOO_MUCH.values(), ids=VIEWS_TOO_MUCH)
def test_a_view_past_a_limit_is_refused_with_its_reason(view, why):
    assert why in " ".join(check_view(view))


def test_every_thing_wrong_is_named_not_only_the_first():
    assert len(check_message([section(""), {"type": "nothing"}, actions()])) == 3


def test_type_ahead_shows_a_hundred_options_at_most():
    assert check_options({"options": options(100)}) == []
    assert check_options({"options": []}) == []
    assert "no more than 100" in check_options({"options": options(101)})[0]
    assert check_options({}) != []
    assert check_options(None) != []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
KNOWN = st.sampled_from(["type", "text", "elements", "rows", "blocks", "title", "tasks", "options", "element"])
KINDS = st.sampled_from(["section", "actions", "table", "button", "modal", "plan", "input", "plain_text", "rich_text"])
NEARLY = st.recursive(
    JSON | KINDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KNOWN, inner | KINDS, max_size=4),
    max_leaves=15,
)


@given(JSON | NEARLY)
def test_whatever_is_sent_there_is_an_answer_and_no_accident(value):
    for found in (check_message(value), check_message([value]), check_view(value), check_options(value)):
        assert all(isinstance(each, str) for each in found)


@given(st.integers(0, 3100))
def test_a_section_is_taken_up_to_its_limit_and_not_beyond(length):
    assert (check_message([section("x" * length)]) == []) == (1 <= length <= 3000)
