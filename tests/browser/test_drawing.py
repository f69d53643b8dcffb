"""Every golden file drawn: all that it says is there, nothing is unknown, and what comes from outside stays text."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from sandbox.slack.reading import spoken
from tests.support import pictures

pytestmark = pytest.mark.timeout(600)

GOLDEN = {file.stem: json.loads(file.read_text()) for file in pictures.GOLDEN.glob("*.json")}
NAMES = {
    "U_REQUESTER": "requester",
    "U_APPROVER": "approver",
    "U_MEMBER": "member",
    "S_APPROVERS": "key-approvers",
    "C_OPS": "ops",
}
CARD = re.compile(r"https://keyturn\.slack\.com/archives/C_OPS/p\d+")
PROFILE = "https://acme.slack.com/team/U_APPROVER"
OWN = {"an approver": re.compile(re.escape(PROFILE)), "Open its card.": CARD, "open": CARD}
"""Links of Keyturn's own: to a person who has nothing to do, and to cards."""

MENTION = re.compile(r"<(@|#|!subteam\^)(\w+)>")
DATE = re.compile(r"<!date\^[^>]*>")


def drawn(page: Page, content: object, **options: object) -> str:
    page.evaluate("([content, options]) => draw(content, options)", [content, options])
    return words(page.locator("#drawing").evaluate("(node) => node.textContent"))


def words(text: str) -> str:
    return re.sub(r"\W+", " ", text).strip()


def said(part: object) -> list[str]:
    """All that Slack would show of a golden, but dates and what is not shown until it is asked for."""
    if isinstance(part, list):
        return [each for one in part for each in said(one)]
    if not isinstance(part, dict):
        return []
    if part.get("type") == "mrkdwn":
        return [spoken(MENTION.sub(name_of, piece)) for piece in DATE.split(part["text"])]
    if part.get("type") in ("plain_text", "raw_text"):
        return [part["text"]]
    bare = [part[name] for name in ("title", "caption") if isinstance(part.get(name), str)]
    hidden = ("confirm", "options", "placeholder", "initial_value", "initial_option")
    shown = [one for name, one in part.items() if name not in hidden or part.get("type") == "modal"]
    return [*bare, *said(shown)]


def name_of(mention: re.Match[str]) -> str:
    return f"{'#' if mention[1] == '#' else '@'}{NAMES[mention[2]]}"


@pytest.fixture
def page(opened) -> Page:
    return opened(path="draw")


def test_every_golden_is_drawn_with_all_that_it_says_and_nothing_of_it_is_unknown(page: Page):
    missing, unknown = {}, []
    for name, content in GOLDEN.items():
        shown = drawn(page, content)
        missing[name] = [each for each in said(content) if words(each) not in shown]
        unknown += [name] * page.locator(".unknown").count()

    assert len(GOLDEN) > 150
    assert {name: left for name, left in missing.items() if left} == {}
    assert unknown == []


def test_the_pictures_of_the_documents_were_drawn_by_the_page_as_it_is_now():
    """Here, where there is a browser to draw them again."""
    assert pictures.drawn()["page"] == pictures.sources()["page"], pictures.AGAIN


def test_an_unknown_block_is_shown_as_unknown(page: Page):
    drawn(page, {"blocks": [{"type": "hologram"}, {"type": "actions", "elements": [{"type": "lever"}]}]})

    expect(page.locator(".unknown")).to_have_text(["Unknown block: hologram", "Unknown element: lever"])


@pytest.mark.parametrize("name", sorted(name for name in GOLDEN if "hostile" in name))
def test_what_comes_from_outside_is_text_and_nothing_else(page: Page, name: str):
    drawn(page, GOLDEN[name])
    active = ("script", "iframe", "img", "[onerror]", "[onload]", "[style]")

    assert page.locator(", ".join(f"#drawing {each}" for each in active)).count() == 0
    for text, leads_to in page.locator("#drawing a").evaluate_all("(all) => all.map((a) => [a.textContent, a.href])"):
        if text in OWN and OWN[text].fullmatch(leads_to):
            continue
        assert leads_to.rstrip("/") == text, "a bare address is a link in Slack, too; it must say where it leads"


@pytest.mark.parametrize("target", ["javascript:alert(1)", "data:text/html,x", "vbscript:x"])
def test_a_link_leads_to_the_web_or_is_no_link(page: Page, target: str):
    drawn(page, {"text": f"<{target}|press> and <https://example.com|go>"})

    expect(page.locator("#drawing a")).to_have_text(["go"])
    expect(page.locator("#drawing a")).to_have_attribute("rel", "noopener noreferrer")


@pytest.mark.parametrize(
    ("mrkdwn", "html"),
    [
        ("*bold* _it_ ~no~ `x*y*`", "<strong>bold</strong> <em>it</em> <s>no</s> <code>x*y*</code>"),
        ("*Rotate `a*b`*", "<strong>Rotate <code>a*b</code></strong>"),
        ("2 * 3 * 4 and a_b_c", "2 * 3 * 4 and a_b_c"),
        ("```\na *b*```", "<pre>a *b*</pre>"),
        ("&gt; said\nnot", "<blockquote>said</blockquote>not"),
        ("&lt;b&gt; &amp;amp;", "&lt;b&gt; &amp;amp;"),
        ("<@U_APPROVER> <!subteam^S_APPROVERS> <!here>", "@approver @key-approvers @here"),
    ],
)
def test_mrkdwn_is_drawn_as_slack_draws_it(page: Page, mrkdwn: str, html: str):
    drawn(page, {"text": mrkdwn})
    shown = page.locator("#drawing .content .block").evaluate("(node) => node.innerHTML")

    assert re.sub(r"</?span[^>]*>", "", shown) == html


def test_a_date_is_shown_in_the_readers_clock(opened):
    page = opened(path="draw", timezone_id="Asia/Tokyo")
    drawn(page, {"text": "at <!date^1795442520^{date_short_pretty} {time}|never>"}, now="2026-11-23T14:30:00Z")

    expect(page.locator("#drawing time").last).to_have_text("today 23:02")


@pytest.mark.parametrize(
    ("now", "said"),
    [("12:02:00", "in 2 hours"), ("13:32:00", "in 30 minutes"), ("14:05:00", "3 minutes ago")],
)
def test_a_countdown_says_how_far_away_the_time_is(page: Page, now: str, said: str):
    drawn(page, {"text": "by <!date^1795442520^{ago}|never>"}, now=f"2026-11-23T{now}Z")

    expect(page.locator("#drawing time").last).to_have_text(said)


def test_a_list_is_drawn_as_a_thread_and_the_address_may_hold_the_json(opened):
    page = opened(path="draw#" + json.dumps([{"text": "one"}, {"text": "two"}]))

    expect(page.locator("#drawing article")).to_have_count(2)


def test_several_models_are_chosen_and_left_out_again_by_the_keyboard(page: Page):
    drawn(page, GOLDEN["form-acceptance-500-models"])
    menu = page.get_by_role("combobox")
    menu.focus()
    page.keyboard.type("chat-001")
    expect(page.get_by_role("option")).to_have_count(1)
    page.keyboard.press("Enter")
    page.keyboard.type("chat-004")
    page.keyboard.press("Enter")
    expect(page.locator(".chip")).to_have_text(["chat-001 in production×", "chat-004 in production×"])
    page.keyboard.press("Escape")
    page.keyboard.press("Backspace")

    expect(page.locator(".chip")).to_have_text(["chat-001 in production×"])
    expect(menu).to_be_focused()
    expect(page.get_by_role("listbox")).to_have_count(0)
