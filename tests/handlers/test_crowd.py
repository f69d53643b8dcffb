"""A crowd that may not approve asks Slack once who is in the user group; for an approver it is asked each time."""

import asyncio
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError

from bot.rotation.errors import Unanswerable
from bot.rotation.people import People
from bot.rotation.policy import NO_MEMBER
from handlers.people import SlackDirectory
from tests.bot.values import NOW, approval, rules, running

CROWD = [f"U_{number}" for number in range(50)]


class Slack:
    """Slack's client, with its limit of 20 calls for the list of a user group."""

    def __init__(self) -> None:
        self.group, self.asked, self.seconds = {"U_APPROVER"}, 0, 0.0
        self.said: dict[str, Any] = {}
        """What is said of everybody."""
        self.held: asyncio.Event | None = None
        """Lets the lists come that were asked for since; None if they come at once."""
        self.directory = SlackDirectory(self, "T1", "E1", clock=lambda: self.seconds)  # type: ignore[arg-type]
        self.people = People(self.directory, rules(approvers=frozenset({"S1"})))

    async def users_info(self, user: str) -> dict[str, Any]:
        return {"user": {"id": user, "team_id": "T1"} | self.said}

    async def usergroups_users_list(self, **_: str) -> dict[str, Any]:
        self.asked += 1
        users = [*self.group]
        await (self.held.wait() if self.held else asyncio.sleep(0))
        if self.asked > 20:
            raise SlackApiError("", {"error": "ratelimited"})
        return {"users": users}

    async def approvers(self, *who: str) -> list[bool]:
        found = await asyncio.gather(*map(self.people.permissions, who))
        return [each.approver for each in found]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({}, ""),
        ({"is_restricted": True}, "guest"),
        ({"is_ultra_restricted": True}, "guest"),
        ({"is_bot": True}, "bot"),
        ({"deleted": True}, "deactivated"),
        ({"is_stranger": True}, "stranger"),
        ({"team_id": "T2"}, "stranger"),
        ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E2"}}, "stranger"),
        ({"team_id": "T2", "enterprise_user": {"enterprise_id": "E1"}}, ""),
    ],
)
async def test_slack_says_who_is_no_full_member_of_this_workspace(said: dict[str, Any], why: str) -> None:
    slack = Slack()
    slack.said = said
    person = await slack.directory.person("U_1")

    assert [name for name in NO_MEMBER if getattr(person, name)] == [why][: bool(why)]


async def test_an_answer_about_another_person_does_not_count() -> None:
    slack = Slack()
    slack.said = {"id": "U_OTHER"}

    with pytest.raises(Unanswerable):
        await slack.directory.person("U_1")


async def test_a_crowd_at_the_limit_of_a_user_group_does_not_lock_its_members_out() -> None:
    slack = Slack()

    assert not any(await slack.approvers(*CROWD))
    assert not any(await slack.approvers(*CROWD))
    assert await slack.approvers("U_APPROVER") == [True]
    assert slack.asked == 2


async def test_people_who_left_the_group_are_refused_at_once_and_those_who_joined_are_let_in_soon() -> None:
    slack = Slack()
    assert await slack.approvers("U_APPROVER", "U_1") == [True, False]

    slack.group = {"U_1"}
    assert await slack.approvers("U_APPROVER") == [False]
    slack.group = {"U_2"}
    assert await slack.approvers("U_2") == [False]
    slack.seconds += 31
    assert await slack.approvers("U_2") == [True]


async def test_an_approval_counts_although_this_process_has_a_list_from_before_its_sender_joined() -> None:
    slack = Slack()
    assert await slack.approvers("U_1") == [False]
    slack.group = {"U_1"}  # and another process lets them approve

    given = running(approvals=(approval("U_1"),))
    assert await slack.people.reviewed(given, NOW) == given


async def test_a_list_that_was_asked_for_earlier_and_comes_later_is_not_remembered() -> None:
    slack = Slack()
    slack.held = asyncio.Event()
    first = asyncio.create_task(slack.directory.members("S1"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    held, slack.held, slack.group, slack.seconds = slack.held, None, {"U_1"}, 1.0
    assert await asyncio.wait_for(slack.directory.members("S1"), 5) == {"U_1"}, "it waits for no earlier list"
    held.set()

    assert await first == {"U_APPROVER"}
    assert await slack.directory.recent("S1") == {"U_1"}


async def test_a_list_that_slack_does_not_give_is_not_remembered() -> None:
    slack = Slack()
    slack.asked = 20
    refused = await asyncio.gather(*map(slack.people.permissions, CROWD), return_exceptions=True)
    assert all(isinstance(each, Unanswerable) for each in refused)
    assert slack.asked == 21, "all waited for the one list"

    slack.asked = 0
    assert await slack.approvers("U_APPROVER") == [True]


async def test_people_who_ask_for_rotations_do_not_use_the_limit_up_either() -> None:
    slack = Slack()

    await asyncio.gather(*map(slack.people.check_may_begin, CROWD))
    await asyncio.gather(*map(slack.people.check_may_begin, CROWD))

    assert slack.asked == 1


@pytest.mark.parametrize("caller", ["the one who asks", "one who waits for the same list"])
async def test_a_caller_that_gives_up_takes_the_list_from_nobody_else(caller: str) -> None:
    slack = Slack()
    first, second = (asyncio.create_task(slack.people.permissions(who)) for who in ("U_1", "U_2"))
    for _ in range(3):
        await asyncio.sleep(0)
    gone, stays = (first, second) if caller == "the one who asks" else (second, first)
    gone.cancel()

    assert (await stays).approver is False
