"""Blocks read as a person reads them."""

import pytest

SAID = {
    "bold": ("*one* two", "one two"),
    "code": ("`one_two_three` `a *b* c`", "one_two_three a *b* c"),
    "names with underscores": ("pk_7f_3a and _this_", "pk_7f_3a and this"),
    "block of code": ("```one\ntwo```", "one\ntwo"),
    "link": ("<https://a.example|here> <https://a.example>", "here https://a.example"),
    "people and groups": (
        "<@U_APPROVER> of <!subteam^S_APPROVERS>, not <@U_NO>",
        "@approver of @key-approvers, not @U_NO",
    ),
    "everyone": ("<!channel> <#C_OPS>", "@channel #ops"),
    "date": ("<!date^1700000000^{time}|14:02>", "14:02"),
    "entities": ("a &lt;b&gt; &amp; c", "a <b> & c"),
}


@pytest.mark.parametrize(("text", "read"), SAID.values(), ids=SAID)
def test_mrkdwn_is_read_without_its_marks(slack, text, read):
    assert slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", text, []).plain == read
