"""While a card cannot be shown, people who have to act have it directly: once an occasion, without stale buttons."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from slack_sdk.errors import SlackApiError
from structlog.testing import capture_logs

from bot.rotation.people import People
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from handlers.people import SlackDirectory
from tests.bot.values import rules
from tests.handlers import records as r
from tests.handlers.test_replies import DELETED, Thread

Message = dict[str, Any]
STOPPED = r.stopped(r.running("verify"), StopKind.DRIFT, "someone changed a model", "It was changed.")
ASKED = r.awaiting_approval()
APPROVING = ["Delete old key", "Roll back", "Verify again", "Not yet", "Ask the requester"]
TO_APPROVE = [[*APPROVING, "This secret is exposed", "Open in AISIX"]]


class ShutChannel(Thread):
    """A Slack whose channel is archived, with people and a user group, and a clock that stands."""

    def __init__(self) -> None:
        self.clock, self.version = r.at(9000), 0
        self.archived, self.knows_groups = True, True
        self.members = [r.REQUESTER, r.APPROVER, r.SECOND_APPROVER, "U_GUEST"]
        self.unreachable: set[str] = set()
        self.direct: dict[str, list[Message]] = {}
        """By person: the messages as they are now, oldest first."""

        self.edits_of_direct = 0
        super().__init__()

    def people(self) -> People:
        directory = SlackDirectory(self, "T1")  # type: ignore[arg-type] - a stand-in
        return People(directory, rules(approvers=frozenset({"S_APPROVERS"})))

    def now(self) -> datetime:
        return self.clock

    async def users_info(self, *, user: str) -> dict[str, Any]:
        return {"user": {"id": user, "team_id": "T1", "is_restricted": user == "U_GUEST"}}

    async def usergroups_users_list(self, **_: str) -> dict[str, Any]:
        if not self.knows_groups:
            raise TimeoutError
        return {"users": self.members}

    async def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        person = message["channel"]
        if person in self.unreachable:
            raise SlackApiError("", {"error": "user_disabled"})
        if person != "C_OPS":
            self.direct.setdefault(person, []).append(message)
            return {"ts": f"{len(self.direct[person]) - 1}.0", "channel": f"D_{person}"}
        self.refuse_if_archived()
        return await super().chat_postMessage(**message)

    async def chat_update(self, *, ts: str, **message: Any) -> None:
        if message["channel"] != "C_OPS":
            self.direct[message["channel"].removeprefix("D_")][int(float(ts))] = message
            self.edits_of_direct += 1
            return
        self.refuse_if_archived()
        await super().chat_update(ts=ts, **message)

    async def chat_delete(self, *, channel: str, ts: str) -> None:
        if channel == "C_OPS":
            self.refuse_if_archived()
            return await super().chat_delete(channel=channel, ts=ts)
        self.direct[channel.removeprefix("D_")][int(float(ts))] = DELETED
        return None

    def refuse_if_archived(self) -> None:
        if self.archived:
            raise SlackApiError("", {"error": "is_archived"})

    async def becomes(self, rotation: Rotation) -> None:
        """Show the next version of a rotation, until its retry is due."""
        self.version += 1
        with capture_logs() as self.logs:
            wait = await self.announcer.show(rotation.but(version=self.version))
        self.clock += wait or timedelta()

    def buttons(self, person: str) -> list[list[str]]:
        """Return the buttons of each message to a person."""
        return [[e["text"]["text"] for row in rows(m) for e in row["elements"]] for m in self.direct.get(person, [])]

    def events(self) -> set[str]:
        return {log["event"] for log in self.logs}


def rows(message: Message) -> list[Message]:
    return [block for block in message["blocks"] if block["type"] == "actions"]


@pytest.fixture
async def slack() -> ShutChannel:
    slack = ShutChannel()
    slack.archived = False
    await slack.becomes(r.running("verify"))
    slack.archived = True
    return slack


TOLD: dict[str, tuple[Rotation, set[str]]] = {
    "an approval": (ASKED, {r.REQUESTER, r.APPROVER, r.SECOND_APPROVER}),
    "a stop": (STOPPED, {r.REQUESTER, r.APPROVER, r.SECOND_APPROVER}),
    "trouble": (r.watched(troubles=(r.trouble(),)), {r.REQUESTER, r.APPROVER, r.SECOND_APPROVER}),
    "a secret": (r.withdrawing(state=State.AWAITING_SECRET, secret_asked_at=r.at(70)), {r.REQUESTER}),
    "what to revoke": (r.completed(), {r.REQUESTER}),
    "nothing": (r.running("soak"), set()),
}


@pytest.mark.parametrize("occasion", TOLD)
async def test_people_who_can_act_are_told_and_nobody_else(slack: ShutChannel, occasion: str) -> None:
    rotation, people = TOLD[occasion]
    for _ in range(3):
        await slack.becomes(rotation)

    assert set(slack.direct) == people, "no guest, and the requester approves nothing of their own"
    assert all(len(messages) == 1 for messages in slack.direct.values()), "once"
    assert slack.edits_of_direct == 0


async def test_a_direct_message_has_the_buttons_of_the_card_with_what_a_click_vouches_for(slack: ShutChannel) -> None:
    await slack.becomes(ASKED)
    (asked,) = slack.direct[r.APPROVER]
    (row,) = rows(asked)

    assert slack.buttons(r.APPROVER) == TO_APPROVE
    assert row["block_id"] == f"shown-{ASKED.seen}"
    assert "Keyturn can't post in <#C_OPS>: it is archived." in asked["text"]

    assert ASKED.replacement
    changed = ASKED.but(replacement=ASKED.replacement.but(key_id="pk_other"))
    await slack.becomes(changed)
    assert changed.seen != ASKED.seen
    assert [rows(m)[0]["block_id"] for m in slack.direct[r.APPROVER]] == [f"shown-{changed.seen}"]


async def test_a_button_that_is_offered_no_more_is_taken_off_at_once(slack: ShutChannel) -> None:
    await slack.becomes(STOPPED)
    assert "Roll back" in str(slack.buttons(r.APPROVER))

    await slack.becomes(STOPPED.but(delete_asked_at=r.at(60)))

    assert "Roll back" not in str(slack.buttons(r.APPROVER))
    assert len(slack.direct[r.APPROVER]) == 1


AFTER: dict[str, tuple[Rotation, str]] = {
    "approved": (r.running("delete", approvals=(r.approval(),)), "approved by <@U_APPROVER>"),
    "rolled back": (r.rolled_back(), "rolled back"),
    "deleted": (r.completed(), "deleted"),
    "stopped": (STOPPED, "someone changed a model"),
}


@pytest.mark.parametrize("how", AFTER)
async def test_no_button_of_an_approval_stays_once_somebody_has_acted(slack: ShutChannel, how: str) -> None:
    after, words = AFTER[how]
    await slack.becomes(ASKED)
    await slack.becomes(after)

    assert "Delete old key" not in str(slack.buttons(r.APPROVER) + slack.buttons(r.REQUESTER))
    assert words in str(slack.direct[r.APPROVER])
    assert len(slack.direct[r.APPROVER]) == (2 if how == "stopped" else 1), "a new occasion has its own message"


async def test_when_the_channel_is_open_again_the_buttons_are_there_alone(slack: ShutChannel) -> None:
    await slack.becomes(ASKED)
    slack.archived = False
    await slack.becomes(ASKED)

    assert slack.buttons(r.APPROVER) == slack.buttons(r.REQUESTER) == [[]]
    assert "The card in <#C_OPS> is up to date again" in slack.direct[r.APPROVER][0]["text"]
    assert rows(slack.channel[slack.fields["card"]])

    edits, slack.archived = slack.edits_of_direct, True
    await slack.becomes(STOPPED)
    assert slack.edits_of_direct == edits, "what was settled is left alone"
    assert len(slack.direct[r.APPROVER]) == 2


async def test_who_cannot_be_reached_holds_up_nobody_and_is_tried_again(slack: ShutChannel) -> None:
    slack.unreachable = {r.REQUESTER}
    await slack.becomes(ASKED)
    assert set(slack.direct) == {r.APPROVER, r.SECOND_APPROVER}
    assert "nobody_reached" not in slack.events()

    slack.unreachable = set()
    await slack.becomes(ASKED)
    assert len(slack.direct[r.REQUESTER]) == len(slack.direct[r.APPROVER]) == 1

    slack.unreachable = {r.REQUESTER, r.APPROVER, r.SECOND_APPROVER}
    await slack.becomes(STOPPED)
    assert "nobody_reached" in slack.events()


async def test_where_slack_does_not_tell_who_the_approvers_are_the_requester_is_told(slack: ShutChannel) -> None:
    slack.knows_groups = False
    await slack.becomes(ASKED)
    assert set(slack.direct) == {r.REQUESTER}
    assert "approvers_unknown" in slack.events()

    slack.knows_groups = True
    await slack.becomes(ASKED)
    assert r.APPROVER in slack.direct


async def test_of_a_crowd_of_approvers_twenty_are_told_and_the_log_says_so(slack: ShutChannel) -> None:
    slack.members = [f"U_{number:02}" for number in range(25)]
    await slack.becomes(ASKED)

    assert len(slack.direct) == 1 + 20
    assert "approvers_untold" in slack.events()
