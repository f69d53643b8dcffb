"""Blocks read as a person reads them."""

import pytest

from sandbox.slack import reading

SAID = {
    "plain": ("one two", "one two"),
    "bold": ("*one* two", "one two"),
    "code": ("`one_two_three`", "one_two_three"),
    "stars in code": ("`a *b* c`", "a *b* c"),
    "names with underscores": ("pk_7f_3a and _this_", "pk_7f_3a and this"),
    "block of code": ("```one\ntwo```", "one\ntwo"),
    "link": ("<https://a.example|here>", "here"),
    "bare link": ("<https://a.example>", "https://a.example"),
    "person": ("<@U_MEMBER>", "@U_MEMBER"),
    "channel": ("<#C_OPS>", "#C_OPS"),
    "group": ("<!subteam^S_APPROVERS>", "@S_APPROVERS"),
    "everyone": ("<!channel>", "@channel"),
    "date": ("<!date^1700000000^{time}|14:02>", "14:02"),
    "entities": ("a &lt;b&gt; &amp; c", "a <b> & c"),
}


@pytest.mark.parametrize(("text", "read"), SAID.values(), ids=SAID)
def test_mrkdwn_is_read_without_its_marks(text, read):
    assert reading.spoken(text) == read


def test_people_groups_and_channels_are_read_by_name(slack):
    words = "<@U_APPROVER> of <!subteam^S_APPROVERS> in <#C_OPS>, not <@U_NOBODY>"
    message = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", words, [])

    assert message.plain == "@approver of @key-approvers in #ops, not @U_NOBODY"


def test_a_table_is_read_row_by_row():
    rich = {"type": "text", "text": "gpt-4o", "style": {"bold": True}}
    row = [
        {"type": "raw_text", "text": "chat-large"},
        {"type": "raw_number", "value": 3},
        {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": [rich]}]},
    ]

    assert reading.plain([{"type": "table", "rows": [row, row]}]) == "chat-large  3  gpt-4o\nchat-large  3  gpt-4o"


def test_the_text_of_a_message_is_what_is_read_only_where_there_are_no_blocks(slack):
    header = {"type": "header", "text": {"type": "plain_text", "text": "Shown"}}

    message = slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "for notifications", [header])

    assert message.plain == "Shown"
