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


def rich(*elements):
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": list(elements)}]}


def chart(**drawn):
    return {"type": "data_visualization", "title": "Errors", "chart": drawn}


POINTS = [{"label": "14:02", "value": 0}, {"label": "14:03", "value": 2.5}]
TASK = {"task_id": "1", "title": "Roll out", "status": "in_progress"}
READ = {
    "header": ({"type": "header", "level": 1, "text": {"type": "plain_text", "text": "Ready"}}, "Ready"),
    "plan": ({"type": "plan", "title": "Rotate", "tasks": [TASK]}, "Rotate\nRoll out (in progress)"),
    "task": (
        {"type": "task_card", **TASK, "status": "error", "details": rich({"type": "text", "text": "2 of 3"})},
        "Roll out (error)\n2 of 3",
    ),
    "line": (
        chart(type="line", series=[{"name": "old", "data": POINTS}], axis_config={"categories": ["14:02", "14:03"]}),
        "Errors\nold: 14:02 0, 14:03 2.5",
    ),
    "pie": (chart(type="pie", segments=[{"label": "good", "value": 3}]), "Errors\ngood: 3"),
    "data table": (
        {
            "type": "data_table",
            "caption": "Models",
            "rows": [
                [{"type": "raw_text", "text": "Model"}, {"type": "raw_text", "text": "Asked"}],
                [{"type": "raw_number", "value": 6, "text": "six"}, rich({"type": "user", "user_id": "U_APPROVER"})],
            ],
        },
        "Models\nModel  Asked\nsix  @approver",
    ),
    "alert": ({"type": "alert", "text": {"type": "mrkdwn", "text": "*Not* hidden"}}, "Not hidden"),
}


@pytest.mark.parametrize(("block", "read"), READ.values(), ids=READ)
def test_a_block_is_read_with_all_its_words(slack, block, read):
    assert slack.site.speak(slack.channels["C_OPS"], "U_KEYTURN", "x", [block]).plain == read
