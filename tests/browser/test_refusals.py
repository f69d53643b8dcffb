"""What the bot refuses, and what Slack shows where nobody answers, as people meet it in Chromium."""

import re

import pytest
from playwright.sync_api import expect

from sandbox.company import GOOD_SECRET
from tests.browser.people import card, confirm, form, give, press, says, send, throw, whispered

pytestmark = pytest.mark.timeout(600)


def test_a_refusal_is_shown_to_one_person_and_repeats_nothing_they_typed(opened):
    guest, member = opened("U_GUEST"), opened("U_MEMBER")
    send(guest, "/rotate-key OpenAI production")
    whispered(guest, "Guests cannot use Keyturn.")
    send(member, f"/rotate-key {GOOD_SECRET}")
    whispered(member, "That looks like a secret, so Keyturn did not use it")

    expect(member.locator("#messages .only-you")).to_have_count(1)
    assert GOOD_SECRET not in member.locator("#slack").inner_text()


def test_what_nobody_acknowledges_in_three_seconds_fails_as_in_slack(opened):
    page, other = opened(), opened("U_MEMBER")
    send(page, "/rotate-key OpenAI production")
    says(page, "waiting for the new secret")
    press(page, "Enter new secret")
    expect(form(page)).to_be_visible()
    throw(other, "The bot", "frozen")
    give(page, "two words")
    expect(form(page).get_by_role("alert")).to_have_text("We had some trouble connecting. Try again?")
    expect(form(page).get_by_label("New secret", exact=True)).to_have_value("two words")
    form(page).get_by_role("button", name="Cancel").click()
    press(page, "Cancel")
    whispered(page, 'This action failed with the error "operation_timeout"')
    send(page, "/rotate-key status")
    whispered(page, '/rotate-key failed with the error "operation_timeout"')

    throw(other, "The bot", "runs")
    says(page, "cancelled")


def test_the_picker_is_filled_by_typing_and_a_gateway_that_lags_stops_the_rotation(opened):
    page = opened()
    send(page, "/rotate-key")
    menu = form(page).get_by_role("combobox")
    expect(menu).to_be_focused()
    page.keyboard.type("openai")
    expect(form(page).get_by_role("option")).to_contain_text(re.compile("OpenAI production.*openai · "))
    page.keyboard.press("Enter")
    expect(menu).to_have_value("OpenAI production")
    form(page).get_by_role("button", name="Show what uses it").click()
    says(page, "waiting for the new secret")

    throw(page, "production, replica 2", "cut off")
    press(page, "Enter new secret")
    give(page, GOOD_SECRET)
    says(page, "stopped")
    expect(card(page).get_by_role("button", name="Delete old key")).to_have_count(0)
    expect(page.get_by_role("columnheader", name="replica 2 cut off")).to_be_visible()

    throw(page, "production, replica 2", "well")
    press(page, "Roll back")
    confirm(page, "Roll back")
    says(page, "rolled back")
    expect(page.get_by_role("columnheader", name="replica 2 in sync")).to_be_visible()


def test_a_control_plane_or_a_slack_that_does_not_answer_is_said(opened):
    page = opened()
    throw(page, "The control plane", "down")
    send(page, "/rotate-key OpenAI production")
    whispered(page, "AISIX")
    throw(page, "The control plane", "works")

    page.get_by_role("switch", name="Slack answers 429").check()
    send(page, "/rotate-key OpenAI production")
    whispered(page, "Slack does not take Keyturn's messages at the moment.")
    page.get_by_role("switch", name="Slack answers 429").uncheck()
    send(page, "/rotate-key status")
    whispered(page, "Nothing is under way.")
