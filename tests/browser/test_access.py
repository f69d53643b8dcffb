"""The page for a keyboard, a screen reader, a dark room and a narrow window."""

import json
from itertools import product
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.people import be, card, form, press, says, send
from tests.support.pictures import GOLDEN, PAGES

pytestmark = pytest.mark.timeout(600)

MESSAGES = ("answer", "card", "checklist", "direct", "listing", "receipt", "reply")
"""The golden files that are messages, which are drawn all at once; others are forms, options and threads."""

THEMES = ("light", "dark")
WIDTHS = {"wide": 1800, "usual": 1280, "narrow": 390}


def findings(page: Page) -> list[str]:
    """What the accessibility checker holds against what is shown now."""
    found = Axe().run(page).response["violations"]
    return [f"{each['impact']} {each['id']}: {each['help']} {each['nodes'][0]['html']}" for each in found]


def with_a_card(page: Page) -> Page:
    """Have a card in the channel, once for all tests of this module."""
    if page.locator("#messages article").filter(has_text="waiting for the new secret").count() == 0:
        send(page, "/rotate-key OpenAI production")
    says(page, "waiting for the new secret")
    return page


@pytest.mark.parametrize(("theme", "width"), [*product(THEMES, WIDTHS)])
def test_the_accessibility_checker_finds_nothing_in_the_workspace_the_form_and_the_question(opened, theme, width):
    page = with_a_card(opened(color_scheme=theme, viewport={"width": WIDTHS[width], "height": 900}))
    shown = {"workspace": findings(page)}

    press(page, "Enter new secret")
    form(page).get_by_role("button", name="Create new key").click()
    expect(form(page).get_by_text("Please complete this required field.")).to_be_visible()
    shown["form"] = findings(page)
    page.keyboard.press("Escape")
    expect(form(page)).to_have_count(0)

    if width == "narrow":
        page.get_by_role("button", name="AISIX").click()
        shown["aisix"] = findings(page)

    assert [found for each in shown.values() for found in each] == []
    assert page.evaluate("document.documentElement.dataset.theme") == theme


@pytest.mark.parametrize("theme", THEMES)
def test_the_accessibility_checker_finds_nothing_in_any_golden_file_on_a_phone(opened, theme):
    page = opened(path="draw", color_scheme=theme, viewport={"width": 390, "height": 844})
    sent = {file.stem: json.loads(file.read_text()) for file in sorted(GOLDEN.glob("*.json"))}
    messages = {name: each for name, each in sent.items() if name.startswith(MESSAGES)}
    asked = [each["confirm"] for card in messages.values() for each in buttons(card) if "confirm" in each]
    alone = {name: each for name, each in sent.items() if name not in messages}
    drawn = {"messages": [*messages.values()], "question": asked[0], **alone}
    shown = {}
    for name, content in drawn.items():
        page.evaluate("(content) => draw(content)", content)
        shown[name] = findings(page)

    assert len(messages) > 150
    assert {name: found for name, found in shown.items() if found} == {}


@pytest.mark.parametrize(("theme", "width"), [*product(THEMES, WIDTHS)])
def test_the_accessibility_checker_finds_nothing_on_the_pages_after_a_sign_in(browser, theme, width):
    page, shown = browser.new_page(color_scheme=theme, viewport={"width": WIDTHS[width], "height": 844}), {}
    for name, html in PAGES.items():
        page.set_content(html())
        shown[name] = findings(page)
    page.close()

    assert {name: found for name, found in shown.items() if found} == {}


def buttons(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [each for block in message.get("blocks", ()) for each in block.get("elements", ())]


@pytest.mark.parametrize("width", [320, 390, 720, 1080, 1280])
def test_no_window_is_too_narrow_to_read_without_scrolling_sideways(opened, width):
    page = with_a_card(opened(viewport={"width": width, "height": 800}))

    assert page.evaluate("document.scrollingElement.scrollWidth") <= width
    if width < 1081:
        page.get_by_role("button", name="AISIX").click()
        expect(page.get_by_role("heading", name="What callers see")).to_be_visible()
        assert page.evaluate("document.scrollingElement.scrollWidth") <= width


def test_the_focus_goes_into_a_form_stays_there_and_comes_back(opened):
    page = with_a_card(opened())
    button = card(page).get_by_role("button", name="Enter new secret")
    button.focus()
    page.keyboard.press("Enter")
    expect(form(page).get_by_label("New secret", exact=True)).to_be_focused()
    for _ in range(12):
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement === document.body || !!document.activeElement.closest('dialog')")
    page.keyboard.press("Escape")

    expect(form(page)).to_have_count(0)
    expect(button).to_be_focused()


def test_everything_that_can_be_pressed_is_reached_by_the_keyboard_and_says_what_it_is(opened):
    page = with_a_card(opened())
    pressed = page.evaluate("""() => [...document.querySelectorAll('[onclick], .message [class*=button]')]
        .filter((each) => !['BUTTON', 'A', 'INPUT'].includes(each.tagName)).map((each) => each.outerHTML)""")
    reached: set[str] = set()
    page.keyboard.press("Tab")
    for _ in range(80):
        reached.add(
            page.evaluate("document.activeElement.getAttribute('aria-label') || document.activeElement.innerText")
        )
        page.keyboard.press("Tab")

    assert pressed == []
    assert {"Enter new secret", "Cancel", "Send", "Dark", "Messages"} <= reached


def test_screen_readers_announce_what_is_new(opened):
    page = with_a_card(opened("U_MEMBER"))
    send(page, "/rotate-key status")
    expect(page.get_by_role("status").filter(has_text="Only visible to you: Under way:")).to_have_count(1)


def test_the_chosen_theme_and_person_survive_a_reload(opened):
    page = opened(color_scheme="dark")
    toggle = page.get_by_role("button", name="Dark")
    expect(toggle).to_have_attribute("aria-pressed", "true")
    toggle.click()
    be(page, "U_APPROVER")
    page.reload()

    expect(toggle).to_have_attribute("aria-pressed", "false")
    expect(page.get_by_label("You are")).to_have_value("U_APPROVER")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
