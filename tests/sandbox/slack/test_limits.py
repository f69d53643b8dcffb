"""What Slack refuses in blocks and views, limit by limit."""

import pytest

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
    "menu of 100": [section(accessory=select(options=options(100, "x" * 75, "x" * 150)))],
    "input": [field(action_id="a")],
}
TOO_MUCH = {
    "not a list": ({}, "must be an array"),
    "51 blocks": ([DIVIDER] * 51, "no more than 50"),
    "section of 3001": ([section("x" * 3001)], "/blocks/0/text/text"),
    "empty section": ([section("")], "at least 1"),
    "section without text": ([{"type": "section"}], "one of text, fields"),
    "field of 2001": ([{"type": "section", "fields": [mrkdwn("x" * 2001)]}], "/blocks/0/fields/0/text"),
    "header of 151": ([{"type": "header", "text": plain("x" * 151)}], "at most 150"),
    "26 buttons": ([actions(*[button()] * 26)], "no more than 25"),
    "button of 76": ([actions(button("x" * 76))], "at most 75"),
    "action_id of 256": ([actions(button(action_id="x" * 256))], "at most 255"),
    "action_id twice": ([actions(button(action_id="a"), button(action_id="a"))], "used more than once"),
    "block_id twice": ([section(block_id="b"), section(block_id="b")], "used more than once"),
    "dialog title of 101": ([actions(button(confirm=dialog(title=101)))], "confirm/title"),
    "table of 101 rows": ([table(101)], "no more than 100"),
    "table of 21 columns": ([table(1, 21)], "no more than 20"),
    "two tables": ([table(), table()], "only_one_table_allowed"),
    "table text of 10001": ([table(10, 10, "x" * 101)], "at most 10000"),
    "empty cell": ([table(words="")], "at least 1"),
    "101 options": ([section(accessory=select(options=options(101)))], "no more than 100"),
    "option of 76": ([section(accessory=select(options=options(1, "x" * 76)))], "at most 75"),
    "no options": ([section(accessory=select())], "either options or option_groups"),
    "unknown block": ([{"type": "banner"}], "unsupported block type: banner"),
    "unknown property": ([section(colour="red")], "invalid additional property: colour"),
    "no text object": ([{"type": "section", "text": "x"}], "unsupported text type"),
    "max_length of 3001": ([field(max_length=3001)], "0/element/max_length"),
}
VIEWS_FIT = {
    "100 blocks": modal(*[DIVIDER] * 100),
    "a form": modal(field(max_length=3000, multiline=True), submit=plain("Create"), close=plain("Cancel")),
    "metadata of 3000": modal(private_metadata="x" * 3000, callback_id="c", notify_on_close=True),
    "an external select": modal(
        {**field(), "element": {"type": "external_select", "min_query_length": 0}}, submit=plain("Go")
    ),
}
VIEWS_TOO_MUCH = {
    "title of 25": (modal(title=plain("x" * 25)), "at most 24"),
    "101 blocks": (modal(*[DIVIDER] * 101), "no more than 100"),
    "metadata of 3001": (modal(private_metadata="x" * 3001), "at most 3000"),
    "input without submit": (modal(field()), "submit"),
    "label of 2001": (modal({**field(), "label": plain("x" * 2001)}, submit=plain("Go")), "at most 2000"),
    "placeholder of 151": (modal(field(placeholder=plain("x" * 151)), submit=plain("Go")), "at most 150"),
    "no title": ({"type": "modal", "blocks": [DIVIDER]}, "missing required field: title"),
    "no type": ({"blocks": [DIVIDER]}, "unsupported view type"),
    "block_id twice": (modal({**DIVIDER, "block_id": "b"}, {**DIVIDER, "block_id": "b"}), "used more than once"),
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
