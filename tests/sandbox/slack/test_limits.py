"""What Slack refuses in blocks and views, limit by limit."""

import pytest

from sandbox.slack import check_message, check_options, check_view
from sandbox.slack.totals import weight

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


def data_table(rows=2, columns=1, words="x", **more):
    return table(rows, columns, words, "data_table", **{"caption": "x"} | more)


def chart(kind="line", series=1, points=1, name="", label="", title="x", **axes):
    """A chart whose names and labels have a number each, so that all of them differ."""
    labels = [f"{number}".rjust(len(label), "x") for number in range(points)]
    data = [{"label": each, "value": -1.5} for each in labels]
    named = [{"name": f"{number}".rjust(len(name), "x"), "data": data} for number in range(series)]
    plot = {"type": kind, "series": named, "axis_config": {"categories": labels} | axes}
    return {"type": "data_visualization", "title": title, "chart": plot}


def twins(drawn):
    for series in drawn["chart"]["series"]:
        series["name"] = "0"
    return drawn


def pie(*values, label="x"):
    segments = [{"label": label, "value": value} for value in values]
    return {"type": "data_visualization", "title": "x", "chart": {"type": "pie", "segments": segments}}


def plan(*tasks, **more):
    return {"type": "plan", "title": "x", "tasks": list(tasks), **more}


def task(status="pending", name="1", **more):
    return {"task_id": name, "title": "x", "status": status, **more}


def alert(words="x", level="warning"):
    return {"type": "alert", "text": plain(words), "level": level}


def container(*blocks):
    return {"type": "container", "title": plain("x"), "child_blocks": list(blocks)}


def header(level):
    return {"type": "header", "text": plain("x"), "level": level}


def without(block, name):
    return {each: value for each, value in block.items() if each != name}


def rich(*elements):
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


RICH = rich({"type": "text", "text": "x"})
WHO = {"type": "user", "user_id": "U_1"}
WHEN = {"type": "date", "timestamp": 1795975200, "format": "{time_secs}", "fallback": "14:02", "timezone": "UTC"}


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
    "text of a table": (10_000, lambda n: [table(1, 1, "x" * n)]),
    "rows of a data table": (201, lambda n: [data_table(n)]),
    "columns of a data table": (20, lambda n: [data_table(2, n)]),
    "rows of a page": (100, lambda n: [data_table(page_size=n)]),
    "level of a header": (4, lambda n: [header(n)]),
    "text of all blocks": (13_200, lambda n: [section("x" * 2200)] * 5 + [section("x" * (n - 11_000))]),
    "title of a chart": (50, lambda n: [chart(title="x" * n)]),
    "series": (12, lambda n: [chart(series=n)]),
    "name of a series": (20, lambda n: [chart(name="x" * n)]),
    "points": (20, lambda n: [chart("bar", points=n)]),
    "category": (20, lambda n: [chart("area", label="x" * n)]),
    "label of an axis": (50, lambda n: [chart(y_label="x" * n)]),
    "segments": (12, lambda n: [pie(*[1] * n)]),
    "charts": (2, lambda n: [chart()] * n),
    "plans": (1, lambda n: [plan()] * n if n > 1 else [plan(task())]),
    "text of an alert": (200, lambda n: modal(alert("x" * n))),
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
    "two tables": ([table(), table()], "only_one_table_allowed"),
    "a table of each kind": ([table(), data_table()], "only_one_table_allowed"),
    "a data table without caption": ([without(data_table(), "caption")], "missing required field: caption"),
    "a header alone": ([data_table(1)], "no fewer than 2 items"),
    "a row that is shorter": ([data_table() | {"rows": [*table(1, 2)["rows"], *table()["rows"]]}], "as many cells"),
    "an empty cell": ([data_table(words="")], "at least 1"),
    "a header cell that is formatted": ([data_table() | {"rows": [[RICH], [RICH]]}], "must not be rich_text"),
    "a row header that is no column": ([data_table(row_header_column_index=1)], "less than 1"),
    "text of a data table": ([data_table(201, 1, "x" * 100)], "at most 20000"),
    "text of a data table and all": ([data_table(201, 1, "x" * 100)], "all blocks together"),
    "title of a chart as an object": ([chart(title=plain("x"))], "must provide a string"),
    "two series of one name": ([twins(chart(series=2))], "name '0' is used more than once"),
    "a point of no category": ([chart(categories=["other"])], "one point for each of the categories"),
    "a point too few": ([chart(categories=["0", "1"])], "one point for each of the categories"),
    "a segment of nothing": ([pie(0)], "more than 0"),
    "an unknown chart": ([chart("radar")], "unsupported chart type: radar"),
    "title of a plan as an object": ([plan(title=plain("x"))], "must provide a string [json-pointer:/blocks/0/title]"),
    "a status that no task has": ([plan(task("done"))], "must be one of pending, in_progress, complete, error"),
    "a task twice": ([plan(task(), task())], "used more than once"),
    "a task alone that has not begun": ([{"type": "task_card", **task()}], "must be one of in_progress, complete"),
    "tables in and out of a container": ([table(), container(table())], "only_one_table_allowed"),
    "a plan in a container": ([container(plan(task()))], "unsupported block type: plan"),
    "block_id twice, once in a container": (
        [section(block_id="b"), container(section(block_id="b"))],
        "more than once",
    ),
    "an alert in a message": ([alert()], "unsupported block type: alert"),
    "a level that no alert has": (modal(alert(level="loud")), "must be one of default, info"),
    "a plan in a form": (modal(plan(task())), "unsupported block type: plan"),
    "a data table in a form": (modal(data_table()), "unsupported block type: data_table"),
    "a chart in a form": (modal(chart()), "unsupported block type: data_visualization"),
    "a plan on the home tab": ({"type": "home", "blocks": [plan(task())]}, "unsupported block type: plan"),
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
    "a data table": [data_table(201, 20)],
    "people and dates in cells": [data_table() | {"rows": [*table()["rows"], [rich(WHO, WHEN)]]}],
    "every kind of chart": [chart("bar", 3, 20), pie(0.5, 2)],
    "a plan": [plan(task("complete"), task("error", "2", details=RICH, output=RICH), status="error")],
    "a task that has begun": [{"type": "task_card", **task("in_progress")}],
    "an alert in a form": modal(alert()),
    "a container": [container(table(), section()), section()],
    "a home tab": {"type": "home", "blocks": [section(), chart()]},
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


WEIGHED = {
    "as it is kept": (section("x &amp; y", block_id="not counted"), 9),
    "plain text": (actions(button("a & b", value="not counted", accessibility_label="abc")), 9 + 3),
    "a chart": (chart(series=2, points=3, title="xy", y_label="z"), 2 + 1 + 3 + 2 * (1 + 3)),
    "a plan": (plan(task(), task(name="2")), 3),
    "a table": (data_table(2, 2, "<"), 1 + 4 * 4),
    "a picture": ({"type": "image", "image_url": "https://not.counted", "alt_text": "abcd"}, 4),
}


@pytest.mark.parametrize(("block", "characters"), WEIGHED.values(), ids=WEIGHED)
def test_all_that_is_shown_or_read_out_counts_and_no_id(block, characters):
    assert weight([block]) == characters
