"""Who is pushed, where and how often: harm at once and again, one reminder in the place of the last."""

import pytest
from slack_sdk.errors import SlackApiError

from bot.rotation.nudges import Kind
from bot.rotation.parts import OnIt
from bot.rotation.people import People
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind
from handlers.direct_messages import Pushes
from handlers.people import SlackDirectory
from handlers.views.pushes import REMINDERS
from tests.bot.values import rules
from tests.handlers import records as r
from tests.handlers.test_direct import TO_APPROVE, Message, ShutChannel
from tests.handlers.test_replies import DELETED

WRONG = r.in_trouble(r.watched())
TAKEN = WRONG.but(on_it=OnIt(by=r.APPROVER, at=r.at(960)))
WELL = r.watched(troubles=(r.trouble(), r.trouble(1), r.over(), r.over().but(about=r.trouble(1).about)))
ASKED = r.awaiting_approval()
LEAKED = r.exposed(ASKED).but(on_it=OnIt(by=r.SECOND_APPROVER, at=r.at(30)))
STOPPED = r.stopped(r.running("verify"), StopKind.DRIFT, "someone changed a model", "It was changed.")
PAGED = {r.REQUESTER, r.APPROVER, r.SECOND_APPROVER}


class Channel(ShutChannel):
    """A Slack whose channel is open, where messages can be deleted."""

    PUSHES = Pushes(escalation=frozenset({"U_ONCALL"}))

    def __init__(self) -> None:
        self.keeps_messages = False
        super().__init__()
        self.archived = False

    def people(self) -> People:
        directory = SlackDirectory(self, "T1")  # type: ignore[arg-type] - a stand-in
        return People(directory, rules(approvers=frozenset({"S_APPROVERS"}), escalation=self.PUSHES.escalation))

    async def chat_delete(self, *, channel: str, ts: str) -> None:
        if self.keeps_messages:
            raise SlackApiError("", {"error": "compliance_exports_prevent_deletion"})
        await super().chat_delete(channel=channel, ts=ts)

    def texts(self) -> list[str]:
        return [str(message["text"]) for message in self.channel.values()]

    def reminders(self) -> list[str]:
        """The reminders as they are now."""
        return [text for text in self.texts() if "still waits" in text or "nobody is on it" in text]


class ToApprovers(Channel):
    PUSHES = Pushes(approver_dm=True)


@pytest.fixture
def slack() -> Channel:
    return Channel()


async def test_harm_goes_at_once_to_the_requester_and_every_approver_by_mention_and_directly(slack: Channel) -> None:
    await slack.becomes(r.watched())
    assert slack.direct == {}

    await slack.becomes(WRONG)

    assert set(slack.direct) == PAGED
    assert slack.buttons(r.APPROVER) == [["Another secret", "I'm on it", "Open in AISIX"]]
    (told,) = [text for text in slack.texts() if ", after the delete:" in text]
    assert f"<@{r.REQUESTER}> <!subteam^S_APPROVERS>" in told


async def test_a_second_page_goes_to_more_people_and_takes_the_place_of_the_first(slack: Channel) -> None:
    await slack.becomes(WRONG)
    await slack.becomes(r.nudged(WRONG, 1200))
    await slack.becomes(r.nudged(WRONG, 1800, 2))

    assert set(slack.direct) == PAGED | {"U_ONCALL"}
    assert {person: [m is DELETED for m in slack.direct[person]] for person in slack.direct} == {
        **{person: [True, True, False] for person in PAGED},
        "U_ONCALL": [True, False],
    }
    (reminder,) = slack.reminders()
    assert "<@U_ONCALL>" in reminder


@pytest.mark.parametrize("after", [TAKEN, WELL])
async def test_nobody_is_asked_any_more_once_somebody_is_on_it_or_the_harm_is_over(
    slack: Channel, after: Rotation
) -> None:
    await slack.becomes(r.nudged(WRONG, 1200))
    posted = len(slack.channel)
    await slack.becomes(after)

    assert all(slack.buttons(person)[-1] == [] for person in PAGED)
    assert ("is on it" in slack.direct[r.SECOND_APPROVER][-1]["text"]) is (after is TAKEN)
    assert slack.reminders() == [], "it says what became of it"
    assert len(slack.channel) == posted + (after is WELL), "the fix is told, and nothing else"

    slack.edits_of_direct = 0
    await slack.becomes(after)
    assert slack.edits_of_direct == 0


async def test_harm_that_comes_later_pages_anew(slack: Channel) -> None:
    await slack.becomes(TAKEN)
    assert slack.direct == {}

    later = r.trouble(2, 1000, about="`late` in production")
    await slack.becomes(TAKEN.but(troubles=(*TAKEN.troubles, later)))
    assert set(slack.direct) == PAGED


async def test_a_stop_that_harms_nobody_is_the_requesters_alone(slack: Channel) -> None:
    await slack.becomes(STOPPED)
    (told,) = [text for text in slack.texts() if "* stopped: " in text]

    assert slack.direct == {}
    assert f"<@{r.REQUESTER}>" in told
    assert "S_APPROVERS" not in told


@pytest.mark.parametrize("keeps", [False, True])
async def test_there_is_one_reminder_and_somebody_who_acts_ends_it(slack: Channel, keeps: bool) -> None:  # noqa: FBT001
    slack.keeps_messages = keeps
    for number in (1, 2, 3):
        await slack.becomes(r.nudged(ASKED, 14_000 * number, number))
        await slack.becomes(r.nudged(ASKED, 14_000 * number, number))

    assert len(slack.reminders()) == 1
    assert slack.texts().count("A newer reminder is below.") == (2 if keeps else 0)
    await slack.becomes(r.running("delete", approvals=(r.approval(),)))
    assert f"Already approved by <@{r.APPROVER}>." in slack.channel[slack.fields["reminder:approval"]]["text"]


async def test_the_reminder_of_a_revocation_says_at_the_end_who_revoked_it(slack: Channel) -> None:
    owed = r.completed_after_watch(revocation=r.revocation(), approvals=(r.approval(),))
    await slack.becomes(r.nudged(owed, 86_800))
    await slack.becomes(owed.but(revocation=r.revocation(**r.REVOKED)))

    assert "was revoked at OpenAI by" in slack.channel[slack.fields["reminder:revocation"]]["text"]


async def test_approvers_are_asked_directly_only_if_that_is_set_and_once(slack: Channel) -> None:
    await slack.becomes(ASKED)
    assert slack.direct == {}

    slack = ToApprovers()
    await slack.becomes(ASKED)
    await slack.becomes(r.nudged(ASKED, 14_000))
    assert set(slack.direct) == PAGED - {r.REQUESTER}
    assert [len(messages) for messages in slack.direct.values()] == [1, 1]
    assert slack.buttons(r.APPROVER) == TO_APPROVE


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (r.running("delete", approvals=(r.approval(),)), f"Already approved by <@{r.APPROVER}>."),
        (r.rolled_back(), f"Rolled back by <@{r.REQUESTER}>."),
        (r.awaiting_approval(parked_at=r.at(300_000)), "parked, nobody approved in time"),
        (LEAKED.but(state=State.RUNNING, approvals=(r.approval(),)), f"Already approved by <@{r.APPROVER}>."),
        (LEAKED.but(state=State.ROLLING_BACK, track=Track.BACK, ended_by=r.APPROVER), f"Rolled back by <@{r.APPROVER}"),
    ],
)
async def test_what_approvers_were_asked_directly_says_what_became_of_it(after: Rotation, words: str) -> None:
    slack = ToApprovers()
    await slack.becomes(ASKED)
    await slack.becomes(after)

    for person in PAGED - {r.REQUESTER}:
        (left,) = slack.direct[person]
        assert words in text_of(left)
        assert slack.buttons(person) == [[]]


def text_of(message: Message) -> str:
    return str(message["text"])


ENDS: dict[str, tuple[Rotation, str]] = {
    "cancelled by another": (r.cancelled(ended_by=r.APPROVER), "cancelled"),
    "cancelled by time": (r.cancelled(ended_by=None, note="Nobody gave a secret in time."), "cancelled"),
    "rolled back by another": (r.rolled_back(ended_by=r.APPROVER), "rolled-back"),
    "rolled back by time": (r.rolled_back(ended_by=None, parked_at=r.at(9)), "rolled-back"),
    "parked": (r.awaiting_approval(parked_at=r.at(9)), "parked"),
    "deleted": (r.completed(), "receipt"),
    "a watch in trouble": (WRONG, "trouble"),
    "a watch that ended in trouble": (r.in_trouble(r.completed_after_watch()), "watch-ended"),
    "cancelled themselves": (r.cancelled(), ""),
    "rolled back themselves": (r.rolled_back(), ""),
    "a watch that ended well": (r.watch_told(r.completed_after_watch()), "watch-ended"),
    "a watch that ended well at night": (r.watch_told(r.completed_after_watch(), number=0), ""),
}
EARLIER = {"deleted": [ASKED], "a watch that ended in trouble": [r.watched(), WRONG]}


@pytest.mark.parametrize("how", ENDS)
async def test_the_requester_is_told_once_of_each_end_that_they_did_not_bring_about(slack: Channel, how: str) -> None:
    rotation, key = ENDS[how]
    for earlier in EARLIER.get(how, [r.watched() if rotation.deleted_at else ASKED]):
        await slack.becomes(earlier)
    before = set(slack.channel)
    for _ in range(3):
        await slack.becomes(rotation)

    new = [ts for ts in slack.channel if ts not in before and f"<@{r.REQUESTER}>" in str(slack.channel[ts])]
    fields = {ts: name.partition(":")[0] for name, ts in slack.fields.items()}
    assert [fields[ts] for ts in new] == ([key] if key else [])


QUIET = {"approval": ASKED, "a stop": STOPPED, "a start": r.awaiting_start()}


@pytest.mark.parametrize("what", QUIET)
async def test_at_night_what_can_wait_is_told_without_a_call_and_calls_people_in_the_morning(what: str) -> None:
    slack = ToApprovers()
    await slack.becomes(r.hushed(QUIET[what]))
    assert slack.direct == {}
    assert [text for text in replies(slack) if "<@" in text or "<!" in text] == []
    assert [text for text in replies(slack) if "nobody is called now" in text]

    await slack.becomes(r.hushed(QUIET[what], number=1, seconds=30_000))
    asked = f"<@{r.REQUESTER}>" if what == "a stop" else "<!subteam^S_APPROVERS>"
    assert [asked in text for text in replies(slack)] == [False, True]
    assert set(slack.direct) == (set() if what == "a stop" else PAGED - {r.REQUESTER})


def replies(slack: Channel) -> list[str]:
    """The texts of the thread, without the checklist."""
    posted = {ts for name, ts in slack.fields.items() if name.startswith(THREAD)}
    return [str(message["text"]) for ts, message in slack.channel.items() if ts in posted]


THREAD = ("approval:", "stopped:", "start:", "reminder:")


async def test_a_channel_that_is_shut_calls_nobody_directly_at_night_either() -> None:
    slack = ShutChannel()
    await slack.becomes(r.hushed(ASKED))
    assert slack.direct == {}

    await slack.becomes(r.hushed(ASKED, number=1, seconds=30_000))
    assert set(slack.direct) == PAGED


def test_every_kind_of_matter_has_its_reminder() -> None:
    assert REMINDERS.keys() | {Kind.WATCHED} == set(Kind)
