"""What the check says of policies: what is impossible is wrong, what names nothing is doubtful."""

import json
from typing import Any, cast

import pytest

from bot.check import Level
from bot.check.people import Slack as Asked
from bot.check.policies import OPEN_TO_ALL, policies
from bot.rotation.inventory import Inventory
from bot.settings import read_settings
from tests.bot.conftest import Slack
from tests.bot.values import inventory, key, model

ENVIRON = {
    "SLACK_BOT_TOKEN": "xoxb-1", "SLACK_APP_TOKEN": "xapp-1", "APPROVERS": "S_APPROVERS", "REQUESTERS": "U_COLLEAGUE",
    "AISIX_CLOUD_API": "https://cp.example.com/api", "AISIX_ADMIN_TOKEN": "t",
}  # fmt: skip


class Lists:
    async def inventory(self) -> Inventory:
        return inventory([model("m1", provider_key="pk_old"), model("m2", "stag", provider_key="pk_old")], [key()])


async def checked(policy: Any, slack: Slack | None = None, **given: str) -> list[tuple[Level, str]]:
    settings = read_settings(None, ENVIRON | {"POLICY": json.dumps(policy)} | given)
    directory = slack or Slack()

    async def who() -> tuple[dict[str, Any], Slack]:
        return {}, directory

    asked = Asked(who, *[cast("Any", None)] * (len(Asked._fields) - 1))
    return [(one.level, one.said) for each in policies(settings, asked, Lists()) for one in await each.findings()]


DAY = "mon 09:00-17:00"


@pytest.mark.parametrize(
    ("policy", "level", "said"),
    [
        ({"p": {"approvals": 4}}, Level.WRONG, "3 of the people in APPROVERS and the policy p can"),
        ({"p": {"approvers": ["U_OTHER"], "approvals": 2}}, Level.WRONG, "1 of the people in APPROVERS and the"),
        ({"p": {"approvers": ["U_ELSE"]}}, Level.WRONG, "nobody of the people in APPROVERS and the policy p"),
        ({"p": {"approvers": ["U_OTHER", "U_GONE"]}}, Level.WRONG, "U_GONE in POLICY (p) could not approve."),
        ({"p": {"environments": ["productio"]}}, Level.WARN, "has no such one: did you mean production?"),
        ({"p": {"keys": ["Anthropic*"]}}, Level.WARN, "p names the key Anthropic*, and AISIX Cloud has no such one."),
        ({"p": {"move_windows": ["mon 09:00-09:05"]}}, Level.WRONG, "models may move for less than 10 minutes: mon"),
        ({"p": {"environments": ["production"], "delete_windows": [DAY]},
          "q": {"environments": ["staging"], "delete_windows": ["tue 09:00-17:00"]}},
         Level.WRONG, "by the policies p and q, a key may be deleted at no time: mon 09:00-17:00 UTC; tue 09:00-17:00"),
    ],
)  # fmt: skip
async def test_what_a_policy_asks_for_and_cannot_be_is_told(policy, level, said):
    ((found, sentence),) = await checked(policy)

    assert found is level
    assert said in sentence


async def test_a_policy_that_only_requesters_could_satisfy_is_wrong():
    ((level, said),) = await checked({"p": {"approvers": ["U_OTHER"]}}, REQUESTERS="U_OTHER")

    assert level is Level.WRONG
    assert "nobody may approve what they asked for" in said


async def test_policies_that_are_possible_have_no_line():
    policy = {"p": {"environments": ["production", "stag"], "keys": ["OpenAI*"], "approvers": ["S_APPROVERS"],
                    "approvals": 2, "start": True, "move_windows": [DAY], "delete_windows": [DAY]}}  # fmt: skip

    assert await checked(policy) == []


@pytest.mark.parametrize(
    ("policy", "requesters", "warned"),
    [({}, "", True), ({}, "U1", False), ({"p": {"start": True}}, "", False), ({"p": {"soak": "1h"}}, "", True)],
)
async def test_where_anyone_may_move_all_traffic_the_check_says_so(policy, requesters, warned):
    found = await checked(policy, REQUESTERS=requesters)

    assert ((Level.WARN, OPEN_TO_ALL) in found) is warned


@pytest.mark.parametrize(
    ("policy", "named"),
    [
        ({"p": {"keys": ["Anthropic*"], "start": True}}, True),
        ({"p": {"keys": ["OpenAI*"], "start": True}}, False),
        ({"p": {"environments": ["staging"], "start": True}}, False),
        ({"p": {"environments": ["nowhere"], "start": True}}, True),
    ],
)
async def test_a_start_approval_of_some_keys_does_not_silence_the_warning_about_the_others(policy, named):
    found = [said for _, said in await checked(policy, REQUESTERS="") if OPEN_TO_ALL in said]

    assert [said.startswith("no policy asks for a start of OpenAI production: ") for said in found] == [True] * named
