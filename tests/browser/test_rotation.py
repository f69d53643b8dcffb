"""A rotation by hand, in Chromium, from the command to the receipt."""

import pytest
from playwright.sync_api import Page, expect

from sandbox.company import GOOD_SECRET, WRONG_SECRET
from tests.browser.people import be, card, confirm, form, give, keys_of, press, says, send, whispered

pytestmark = pytest.mark.timeout(600)


def test_a_person_rotates_a_key_with_the_wrong_secret_first(opened):
    page = opened()
    give_the_secrets(page)
    release(page)
    card(page).get_by_role("button", name="replies").click()
    for words in ("Receipt", "Approved by an approver", "The old API key still works at"):
        expect(page.get_by_role("region", name="Thread")).to_contain_text(words)

    expect(page.get_by_role("list", name="Provider keys")).not_to_contain_text("A OpenAI production")
    expect(page.locator("#traffic .totals")).to_contain_text(" 0 failed")
    assert WRONG_SECRET not in page.locator("#slack").inner_text()
    assert GOOD_SECRET not in page.locator("#slack").inner_text()


def give_the_secrets(page: Page) -> None:
    send(page, "/rotate-key OpenAI production")
    says(page, "waiting for the new secret")
    says(page, "5 models in 2 environments use this key")
    assert keys_of(page, "production", "chat-large") == ["A", "A", "A"]

    press(page, "Enter new secret")
    expect(form(page).get_by_label("New secret", exact=True)).to_be_focused()
    give(page, "two words")
    expect(form(page).get_by_text("This has a space in the middle")).to_be_visible()
    expect(form(page).get_by_label("New secret", exact=True)).to_have_value("two words")
    give(page, WRONG_SECRET)
    says(page, "stopped: the new secret was refused")
    says(page, "No model has been moved; callers notice nothing.")
    assert keys_of(page, "production", "chat-large") == ["A", "A", "A"]

    press(page, "Another secret")
    give(page, GOOD_SECRET)
    says(page, "waiting for an approver")
    says(page, "5 of 5 models proved on the new key")
    expect(page.get_by_role("group", name="Models in production").locator(".key-0")).to_have_count(0)
    assert keys_of(page, "production", "chat-large") == ["C", "C", "C"]


def release(page: Page) -> None:
    press(page, "Delete old key")
    expect(page.get_by_role("dialog")).to_contain_text("there is no way back to it")
    confirm(page, "Delete")
    whispered(page, "Only an approver other than @requester can do this.")

    be(page, "U_APPROVER")
    says(page, "waiting for an approver")
    expect(page.locator("#messages .only-you")).to_have_count(0)
    press(page, "Delete old key")
    confirm(page, "Not now")
    says(page, "waiting for an approver")
    press(page, "Delete old key")
    confirm(page, "Delete")
    says(page, "old key deleted")
