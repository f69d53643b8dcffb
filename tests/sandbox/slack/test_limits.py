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


def asking(**lengths):
    """A button with a dialog whose texts have these lengths."""
    texts = {"title": 1, "text": 1, "confirm": 1, "deny": 1} | lengths
    return actions(button(confirm={part: plain("x" * length) for part, length in texts.items()}))


def table(rows=1, columns=1, words="x", kind="table", **more):
    return {"type": kind, "rows": [[{"type": "raw_text", "text": words}] * columns] * rows, **more}


def options(count=1, label="x", value="x"):
    return {"options": [{"text": plain(label), "value": value}] * count}


def menu(**more):
    return section(accessory={"type": "static_select", "action_id": "pick", **more})


def field(label="Secret", kind="plain_text_input", **element):
    return {"type": "input", "label": plain(label), "element": {"type": kind, **element}}


def modal(*blocks, **more):
    return {"type": "modal", "title": plain("x"), "blocks": list(blocks) or [DIVIDER], "submit": plain("Go"), **more}


MOST = {
    "blocks": (50, lambda n: [DIVIDER] * n),
    "text of a section": (3000, lambda n: [section("x" * n)]),
    "fields of a section": (10, lambda n: [{"type": "section", "fields": [mrkdwn("x")] * n}]),
    "text of a field": (2000, lambda n: [{"type": "section", "fields": [mrkdwn("x" * n)]}]),
    "header": (150, lambda n: [{"type": "header", "text": plain("x" * n)}]),
    "elements of a context": (10, lambda n: [{"type": "context", "elements": [mrkdwn("x")] * n}]),
    "buttons": (25, lambda n: [actions(*[button()] * n)]),
    "label of a button": (75, lambda n: [actions(button("x" * n))]),
    "value of a button": (2000, lambda n: [actions(button(value="x" * n))]),
    "action_id": (255, lambda n: [actions(button(action_id="x" * n))]),
    "title of a dialog": (100, lambda n: [asking(title=n)]),
    "rows of a table": (100, lambda n: [table(n)]),
    "columns of a table": (20, lambda n: [table(1, n)]),
    "options of a menu": (100, lambda n: [menu(**options(n))]),
    "text of an option": (75, lambda n: [menu(**options(1, "x" * n))]),
    "value of an option": (150, lambda n: [menu(**options(1, "x", "x" * n))]),
    "options of a type-ahead": (100, options),
    "blocks of a view": (100, lambda n: modal(*[DIVIDER] * n)),
    "title of a view": (24, lambda n: modal(title=plain("x" * n))),
    "metadata of a view": (3000, lambda n: modal(private_metadata="x" * n)),
    "label of a field": (2000, lambda n: modal(field("x" * n))),
    "placeholder": (150, lambda n: modal(field(placeholder=plain("x" * n)))),
    "max_length": (3000, lambda n: modal(field(max_length=n))),
}
REFUSED = {
    "no list": ("x", "must be an array"),
    "empty section": ([section("")], "at least 1"),
    "section without text": ([{"type": "section"}], "one of text, fields"),
    "action_id twice": ([actions(button(action_id="a"), button(action_id="a"))], "used more than once"),
    "block_id twice": ([section(block_id="b"), section(block_id="b")], "used more than once"),
    "text of a table": ([table(10, 10, "x" * 101)], "at most 10000"),
    "two tables": ([table(), table()], "only_one_table_allowed"),
    "menu without options": ([menu()], "either options or option_groups"),
    "unknown block": ([{"type": "banner"}], "unsupported block type: banner"),
    "unknown property": ([section(colour="red")], "invalid additional property: colour"),
    "no text object": ([{"type": "section", "text": "x"}], "/blocks/0/text"),
    "view without title": ({"type": "modal", "blocks": [DIVIDER]}, "missing required field: title"),
    "view without submit": ({"type": "modal", "title": plain("x"), "blocks": [field()]}, "submit"),
    "no view": ({"type": "page", "blocks": [DIVIDER]}, "unsupported view type"),
    "no options": ({}, "either options or option_groups"),
}
FITS = {
    "no blocks": [],
    "no options": options(0),
    "a form": modal(field(multiline=True), field(kind="external_select", min_query_length=0), notify_on_close=True),
    "a data table": [table(201, 20, caption="x", kind="data_table")],
    "a plan": [{"type": "plan", "title": "x", "tasks": [{"task_id": "1", "title": "x", "status": "complete"}]}],
    "a home tab": {"type": "home", "blocks": [section()]},
}


def problems(what):
    if isinstance(what, dict):
        return check_view(what) if "type" in what else check_options(what)
    return check_message(what)


@pytest.mark.parametrize(("most", "made"), MOST.values(), ids=MOST)
def test_as_much_as_the_limit_is_taken_and_one_more_is_refused(most, made):
    assert problems(made(most)) == []
    assert str(most) in " ".join(problems(made(most + 1)))


@pytest.mark.parametrize(("what", "why"), REFUSED.values(), ids=REFUSED)
def test_what_slack_does_not_know_is_refused_with_its_reason(what, why):
    assert why in " ".join(problems(what))


@pytest.mark.parametrize("what", FITS.values(), ids=FITS)
def test_what_slack_knows_is_taken(what):
    assert problems(what) == []
