"""A whole rotation on a phone, from the command to the receipt, by tapping: every button is where a thumb finds it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from sandbox.company import GOOD_SECRET
from tests.browser.people import card, form, sandbox, says, whispered

pytestmark = pytest.mark.timeout(600)

PHONE: dict[str, Any] = {
    "viewport": {"width": 390, "height": 844},
    "has_touch": True,
    "is_mobile": True,
    "device_scale_factor": 3,
}
THUMB = 24
"""The least height and width in pixels of what is tapped: WCAG 2.2, target size (minimum)."""

IN_REACH = """(thumb) => {
    const articles = [...document.querySelectorAll("#messages article")];
    const article = articles.findLast((each) => /[⚪🔵🟡🔴🟢]/u.test(each.textContent));
    article.scrollIntoView({block: "start"});
    return [...article.querySelectorAll(".actions button")].every((button) => {
        const box = button.getBoundingClientRect();
        const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
        const isThere = box.top >= 0 && box.bottom <= innerHeight && box.left >= 0 && box.right <= innerWidth;
        return isThere && Math.min(box.width, box.height) >= thumb && button.contains(top);
    });
}"""
"""Whether all buttons of the newest card are on the screen which begins with it, uncovered and large enough."""

NEWER = "#slack .plan, #slack .data-table, #slack .plot"
"""What some of the newer blocks look like."""


@pytest.fixture
def address() -> Iterator[str]:
    """A sandbox of each story's own: a secret is given once."""
    with sandbox() as address:
        yield address


def tap(page: Page, button: str) -> None:
    """Tap a button of the newest card, where it is on the first screen with all the others."""
    its = card(page).get_by_role("button", name=button, exact=True)
    expect(its).to_be_visible()
    page.wait_for_function(IN_REACH, arg=THUMB)
    its.tap()


def send(page: Page, text: str) -> None:
    page.locator("#box").tap()
    page.locator("#box").fill(text)
    page.get_by_role("button", name="Send", exact=True).tap()


def ask(requester: Page) -> None:
    send(requester, "/rotate-key OpenAI production")
    says(requester, "waiting for the new secret")
    tap(requester, "Enter new secret")


def give(requester: Page) -> None:
    form(requester).get_by_label("New secret", exact=True).tap()
    form(requester).get_by_label("New secret", exact=True).fill(GOOD_SECRET)
    form(requester).get_by_role("button", name="Create new key").tap()
    says(requester, "waiting for an approver")
    says(requester, "5 of 5 models proved on the new key")


def release(approver: Page) -> None:
    says(approver, "waiting for an approver")
    tap(approver, "Delete old key")
    approver.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).tap()
    says(approver, "old key deleted")


def ends(page: Page) -> None:
    """See the end on the card, with its buttons in reach, and in its thread the steps and the receipt."""
    says(page, "old key deleted")
    page.wait_for_function(IN_REACH, arg=THUMB)
    card(page).get_by_role("button", name="replies").tap()
    for words in ("New key created", "Receipt", "Approved by an approver", "The old API key still works at"):
        expect(page.get_by_role("region", name="Thread")).to_contain_text(words)
    assert GOOD_SECRET not in page.locator("#slack").inner_text()
    assert page.evaluate("document.scrollingElement.scrollWidth") <= PHONE["viewport"]["width"]


def test_a_key_is_rotated_on_phones_from_the_command_to_the_receipt_by_tapping(opened):
    requester, approver = opened("U_REQUESTER", **PHONE), opened("U_APPROVER", **PHONE)
    ask(requester)
    give(requester)
    release(approver)
    ends(requester)

    assert requester.locator(NEWER).count() > 0


def test_where_slack_refuses_every_newer_block_people_press_one_button_twice_and_nothing_is_lost(opened):
    requester, approver, other = opened("U_REQUESTER", **PHONE), opened("U_APPROVER", **PHONE), opened("U_MEMBER")
    other.get_by_role("switch", name="Slack refuses its newer blocks").check()
    ask(requester)
    whispered(requester, "Slack did not open the form. Press “Enter new secret” once more.")
    tap(requester, "Enter new secret")
    give(requester)
    release(approver)
    ends(requester)

    assert requester.locator(NEWER).count() == 0
