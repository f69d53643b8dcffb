"""What Slack has since 2026 as the page draws it: folded, paged, sorted, plotted, and the same for who can't see it."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_access import THEMES, findings
from tests.browser.test_drawing import drawn

pytestmark = pytest.mark.timeout(600)

SENTENCE = "Both keys still exist, and rolling back restores the old one. "
STATUSES = ("complete", "in_progress", "pending", "error")


def plain(words: str) -> dict[str, object]:
    return {"type": "plain_text", "text": words}


def raw(words: str) -> dict[str, object]:
    return {"type": "raw_text", "text": words}


def number(value: float) -> dict[str, object]:
    return {"type": "raw_number", "value": value, "text": f"{value} times"}


def rich(*elements: object) -> dict[str, object]:
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def section(times: int, **more: object) -> dict[str, object]:
    return {"type": "section", "text": plain(SENTENCE * times), **more}


def plan(count: int) -> dict[str, object]:
    tasks = [{"task_id": f"{n}", "title": f"Step {n}", "status": STATUSES[n % 4]} for n in range(count)]
    return {"type": "plan", "title": "Rotating", "tasks": tasks}


def chart(kind: str) -> dict[str, object]:
    series = [
        {"name": name, "data": [{"label": "14:02", "value": 3}, {"label": "14:03", "value": -1}]} for name in "ab"
    ]
    axes = {"categories": ["14:02", "14:03"], "x_label": "when", "y_label": "requests"}
    return {"type": "data_visualization", "title": kind, "chart": {"type": kind, "series": series, "axis_config": axes}}


ROUND = {"type": "pie", "segments": [{"label": "proved", "value": 3}, {"label": "failing", "value": 1}]}
PIE = {"type": "data_visualization", "title": "pie", "chart": ROUND}
WHO = rich({"type": "user", "user_id": "U_APPROVER"})
ROWS = [[raw(f"chat-{n}"), number(n), WHO] for n in (3, 20, 1, 10, 2, 30, 4)]
DATA_TABLE = {"type": "data_table", "caption": "Models", "rows": [[raw("Model"), raw("Asked"), raw("Who")], *ROWS]}
TABLE = {
    "type": "table",
    "column_settings": [None, {"is_wrapped": True}],
    "rows": [[raw("A"), raw("B")], [raw(SENTENCE), raw(SENTENCE)]],
}
ALERTS = [{"type": "alert", "level": level, "text": plain(level.upper())} for level in ("info", "warning", "error")]
FIELD = {
    "type": "input",
    "block_id": "why",
    "optional": True,
    "label": plain("Why"),
    "element": {"type": "plain_text_input", "action_id": "why"},
}
FORM = {"type": "modal", "title": plain("Form"), "submit": plain("Go"), "blocks": [*ALERTS, FIELD]}
HEADERS = [{"type": "header", "level": level, "text": plain(f"Level {level}")} for level in (1, 2, 3, 4)]
FILE = {"name": "models.csv", "title": "Every model", "size": 2300, "preview": "model,verdict\nchat-1,proved"}
MESSAGES = {
    "words": {"blocks": [*HEADERS, section(12), plan(10)]},
    "tables": {"blocks": [DATA_TABLE, TABLE]},
    "charts": {"blocks": [chart("line"), chart("area"), chart("bar"), PIE]},
    "form": FORM,
    "file": {"text": "All 500", "files": [FILE]},
}


@pytest.fixture(params=[1000, 390], ids=["wide", "narrow"])
def page(opened, request) -> Page:
    return opened(path="draw", viewport={"width": request.param, "height": 900})


def test_a_long_section_is_folded_until_somebody_asks_or_the_message_says_otherwise(page: Page):
    drawn(page, {"blocks": [section(1), section(40), section(40, expand=True)]})
    more = page.get_by_role("button", name="See more")
    heights = "(nodes) => nodes.map((node) => node.clientHeight)"
    _, folded, whole = page.locator(".section .text").evaluate_all(heights)

    expect(more).to_have_count(1)
    assert folded < whole / 2
    more.click()
    expect(page.get_by_role("button", name="See less")).to_be_visible()
    assert page.locator(".section .text").nth(1).evaluate("(node) => node.clientHeight") >= whole


def test_a_column_is_cut_unless_it_wraps(page: Page):
    drawn(page, {"blocks": [TABLE]})
    cut, wrapped = page.locator("tbody td").evaluate_all(
        "(all) => all.map((each) => each.scrollWidth > each.clientWidth)"
    )

    assert (cut, wrapped) == (True, False)


def test_a_data_table_shows_five_rows_a_page_and_sorts_numbers_as_numbers(page: Page):
    drawn(page, {"blocks": [DATA_TABLE]})
    names, table = page.locator("tbody th:visible"), page.get_by_role("table", name="Models")
    following = page.get_by_role("button", name="Next")
    expect(names).to_have_text(["chat-3", "chat-20", "chat-1", "chat-10", "chat-2"])
    expect(table.get_by_role("row", name="chat-20")).to_contain_text("20 times@approver")
    following.click()
    expect(names).to_have_text(["chat-30", "chat-4"])
    expect(page.get_by_text("6–7 of 7")).to_be_visible()
    expect(following).to_be_disabled()

    page.get_by_role("button", name="Asked").click()
    expect(names).to_have_text(["chat-1", "chat-2", "chat-3", "chat-4", "chat-10"])
    page.get_by_role("button", name="Asked").click()
    expect(names.first).to_have_text("chat-30")
    expect(page.get_by_role("columnheader", name="Asked")).to_have_attribute("aria-sort", "descending")
    page.get_by_role("button", name="Model").click()
    expect(names).to_have_text(["chat-1", "chat-10", "chat-2", "chat-20", "chat-3"])


def test_a_plan_says_each_state_as_a_word_and_folds_when_it_is_long(page: Page):
    drawn(page, {"blocks": [plan(4)]})
    expect(page.locator(".plan")).to_contain_text("Rotating · 1 of 4")
    for each, word in enumerate(("complete", "in progress", "pending", "error")):
        expect(page.get_by_role("listitem").nth(each).get_by_role("img", name=word)).to_be_visible()
    drawn(page, {"blocks": [plan(10)]})
    expect(page.get_by_text("Step 9")).to_be_hidden()
    page.get_by_role("button", name="See 4 more").click()

    expect(page.get_by_text("Step 9")).to_be_visible()


@pytest.mark.parametrize("kind", ["line", "area", "bar"])
def test_a_chart_is_read_out_with_all_its_numbers_and_has_a_legend(page: Page, kind: str):
    drawn(page, {"blocks": [chart(kind)]})

    expect(page.get_by_role("img")).to_have_attribute(
        "aria-label", f"{kind} chart. a: 14:02 3, 14:03 -1; b: 14:02 3, 14:03 -1."
    )
    expect(page.locator(".key li")).to_have_text(["a", "b"])
    expect(page.locator(".y-ticks span")).to_have_text(["4", "2", "0", "-2"])


def test_a_form_says_the_level_of_an_alert_and_that_a_field_may_be_left_empty(page: Page):
    drawn(page, FORM)

    expect(page.get_by_role("note")).to_have_text(["info: INFO", "warning: WARNING", "error: ERROR"])
    expect(page.get_by_label("Why (optional)")).to_be_visible()


def test_a_file_is_shown_with_its_name_its_size_and_how_it_begins(page: Page):
    drawn(page, MESSAGES["file"])

    expect(page.locator(".content")).to_have_text("All 500Every model 2.3 kBmodel,verdict\nchat-1,proved")


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", [1000, 390])
def test_the_accessibility_checker_finds_nothing_in_newer_blocks(opened, theme: str, width: int):
    page = opened(path="draw", color_scheme=theme, viewport={"width": width, "height": 900})
    shown = {}
    for name, content in MESSAGES.items():
        drawn(page, content)
        shown[name] = findings(page)
        assert page.locator(".unknown").count() == 0
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width

    assert {name: found for name, found in shown.items() if found} == {}
