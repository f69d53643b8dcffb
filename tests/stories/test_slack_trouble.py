"""Slack in trouble: a rotation goes on, messages catch up, nothing is told twice, and who can act is told."""

from collections.abc import AsyncIterator, Callable
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from bot.app import Parts, parts
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.settings import read_settings
from handlers.views.composed import composed
from handlers.views.plainer import NEWER
from sandbox.slack import Message
from tests.handlers import records as r
from tests.support.stage import KEY, NEW_SECRET, WRONG_SECRET, Environment, Stage

WAITING = "waiting for an approver"
DIRECT = "Keyturn can't post in #ops"
PAUSES = "handlers.channel_unavailable.FIRST_PAUSE", "handlers.channel_unavailable.LONGEST_PAUSE"
SHUTTING: dict[str, dict[str, bool]] = {
    "archived": {"archived": True},
    "left": {"bot_in": False},
    "left, and private": {"bot_in": False, "private": True},
}
OPEN = {"archived": False, "bot_in": True, "private": False}


def shut(stage: Stage, **how: bool) -> None:
    for name, value in how.items():
        setattr(stage.slack.channels["C_OPS"], name, value)


def told_directly(stage: Stage, *words: str, who: str = "U_REQUESTER") -> Callable[[], Message | None]:
    """Find a direct message that says *words*."""
    return lambda: next(
        (m for m in stage.slack.direct_messages(who) if all(word in m.plain for word in (DIRECT, *words))), None
    )


async def test_a_rotation_whose_channel_is_shut_is_steered_approved_and_finished_from_direct_messages(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for pause in PAUSES:
        monkeypatch.setattr(pause, 0.2)
    card = await stage.ask()
    await stage.give(card, WRONG_SECRET)
    shut(stage, archived=True)
    shown = card.plain
    stopped = await stage.slack.until(told_directly(stage, "stopped: the new secret was refused"), what="the stop")
    assert stopped.buttons[:3] == ["Another secret", "Try again", "Roll back"]

    await stage.press("Another secret", stopped)
    asked = await stage.slack.until(told_directly(stage, "waiting for the new secret"), what="the question")
    assert asked.buttons[:2] == ["Enter new secret", "Cancel"]
    await stage.slack.person("U_REQUESTER").close_modal()
    await stage.give(asked, NEW_SECRET)

    await stage.slack.until(told_directly(stage, WAITING), what="the approval")
    assert card.plain == shown, "as it was when the channel was shut"


# --- with a clock of our own ---


def _is_checklist(message: Message) -> bool:
    return [block["type"] for block in message.blocks] == ["plan"]


class ByHand:
    """The bot without its workers, and a clock that stands: nothing is shown but what a test has shown."""

    built: Parts

    def __init__(self, stage: Stage) -> None:
        self.stage, self.now = stage, r.at(4000)
        self.milestones: list[str] = []
        """The first line of each reply that was ever posted, but for the checklist."""

        stage.slack.on_change(self._note)

    def _note(self, kind: str, what: Any) -> None:
        if kind == "message" and what.channel == "C_OPS" and what.thread_ts and not _is_checklist(what):
            self.milestones.append(what.plain.split("\n")[0])

    def clock(self) -> datetime:
        return self.now

    async def record(self, rotation: Rotation) -> Rotation:
        """Put *rotation* into the store as the next version of what is there."""
        before = await self.built.store.load(rotation.id)
        event = {"by": "a test", "what": "recorded", "why": ""}
        return await self.built.store.save(rotation.but(version=before.version if before else 0), event, at=self.now)

    async def show(self, rotation: Rotation) -> timedelta | None:
        """Record it, and show it once; return when it has to be shown again."""
        return await self.built.announcer.show(await self.record(rotation))

    async def until_shown(self, rotation: Rotation) -> timedelta:
        """Show it as often as the announcer asks to; return how long that took by the clock."""
        began, saved = self.now, await self.record(rotation)
        for _ in range(500):
            wait = await self.built.announcer.show(saved)
            if wait is None:
                return self.now - began
            self.now += wait
        raise AssertionError("It is never shown.")

    @property
    def card(self) -> Message:
        (card,) = self.stage.slack.messages("C_OPS")
        return card

    def calls(self, method: str) -> int:
        return sum(call.method == method for call in self.stage.slack.calls)


@pytest.fixture
async def hand(bare_stage: Stage) -> AsyncIterator[ByHand]:
    """A rotation whose card is there."""
    hand = ByHand(bare_stage)
    with Environment(bare_stage.environ):
        settings = read_settings(None)
    async with parts(settings, hand.clock) as hand.built:
        await hand.built.announcer.first(await hand.record(r.awaiting_secret()))
        yield hand


@pytest.mark.parametrize(
    ("fault", "how"),
    [
        ("rate_limit", {"retry_after": 30, "times": 10}),
        ("fail", {"status": 503, "times": 40}),
        ("drop", {"times": 60, "after_effect": False}),
    ],
)
async def test_after_minutes_without_slack_everything_is_shown_once(hand: ByHand, fault: str, how: Any) -> None:
    getattr(hand.stage.slack.faults, fault)("*", **how)

    assert await hand.until_shown(r.awaiting_approval()) >= timedelta(minutes=5)

    assert WAITING in hand.card.plain
    assert len(hand.milestones) == len(set(hand.milestones)) == 1


@pytest.mark.parametrize(
    ("what", "tombstones"),
    [("card", True), ("checklist", True), ("replies", True), ("everything", True), ("everything", False)],
)
async def test_what_somebody_deletes_comes_again_where_it_is_needed_and_no_milestone_does(
    hand: ByHand, what: str, *, tombstones: bool
) -> None:
    slack = hand.stage.slack
    slack.tombstones = tombstones
    await hand.show(r.awaiting_approval())
    checklist, *replies = slack.thread(hand.card)
    gone = {"card": [hand.card], "checklist": [checklist], "replies": replies}
    for message in gone.get(what, [*replies, checklist, hand.card]):
        slack.remove(message)

    await hand.until_shown(r.nudged(r.awaiting_approval(), 5000))

    assert hand.card.buttons[:3] == ["Delete old key", "Roll back", "Verify again"]
    assert "reminded" in hand.card.plain
    assert "still waits for" in hand.stage.thread(hand.card)
    await hand.until_shown(r.completed())
    marked = [m for m in slack.thread(hand.card) if _is_checklist(m)]
    assert len(marked) == 1, "the checklist is there, once"
    assert len(hand.milestones) == len(set(hand.milestones)) == 4, "the question, the reminder, the file, the receipt"


async def test_a_reply_that_finds_no_thread_to_stand_in_brings_the_card_back(hand: ByHand) -> None:
    rotation = r.awaiting_approval()
    await hand.show(rotation)
    hand.stage.slack.remove(hand.card)
    [missing] = (reply.key for reply in composed(rotation, "").replies())
    await hand.built.store.remember_message(rotation.id, {missing: ""})
    before = len(hand.milestones)

    await hand.until_shown(rotation)

    assert hand.card.buttons[:3] == ["Delete old key", "Roll back", "Verify again"]
    checklist, asked = hand.stage.slack.thread(hand.card)
    assert _is_checklist(checklist)
    assert "is ready to finish" in asked.plain
    assert len(hand.milestones) == before + 1, "nothing else is told again"


LATER: dict[str, tuple[str, Rotation, str]] = {
    "approval": ("archived", r.awaiting_approval(), WAITING),
    "stop": (
        "left",
        r.stopped(r.running("verify"), StopKind.DRIFT, "someone changed a model", "It was changed."),
        "stopped",
    ),
    "secret": (
        "left, and private",
        r.withdrawing().but(state=State.AWAITING_SECRET, secret_asked_at=r.at(70)),
        "waiting for the new secret",
    ),
    "trouble": ("left", r.watched(troubles=(r.trouble(),)), "1 problem"),
    "deleted": ("archived", r.completed(), "API key still works at"),
}


@pytest.mark.parametrize("occasion", LATER)
async def test_a_person_who_has_to_act_gets_one_direct_message_per_occasion(hand: ByHand, occasion: str) -> None:
    how, rotation, words = LATER[occasion]
    shut(hand.stage, **SHUTTING[how])
    for _ in range(5):
        wait = await hand.show(rotation)
        assert wait is not None, "it is tried again"
        hand.now += wait

    (said,) = hand.stage.slack.direct_messages("U_REQUESTER")
    assert DIRECT in said.plain
    assert words in said.plain
    assert ("Unarchive it" if how == "archived" else "/invite @keyturn") in said.plain
    shut(hand.stage, **OPEN)
    await hand.until_shown(rotation)
    assert words in hand.card.plain
    assert (await hand.built.store.messages(rotation.id))["shut"] == ""


async def test_a_channel_that_stays_shut_is_tried_ever_less_often_and_in_the_end_no_more(hand: ByHand) -> None:
    shut(hand.stage, archived=True)

    took = await hand.until_shown(r.completed())

    assert timedelta(days=7) <= took <= timedelta(days=8)
    assert hand.calls("chat.update") < 200
    assert len(hand.stage.slack.direct_messages("U_REQUESTER")) == 1


async def test_a_change_while_the_channel_is_shut_is_not_kept_for_the_next_try(hand: ByHand) -> None:
    shut(hand.stage, bot_in=False)
    await hand.show(r.running("verify"))
    assert hand.stage.slack.direct_messages("U_REQUESTER") == []

    await hand.show(r.awaiting_approval())

    assert told_directly(hand.stage, WAITING)()


async def test_a_direct_message_that_is_limited_comes_later_and_one_that_is_refused_is_not_tried_again_at_once(
    hand: ByHand,
) -> None:
    shut(hand.stage, archived=True)
    saved = await hand.record(r.awaiting_approval())
    faults, show = hand.stage.slack.faults, hand.built.announcer.show
    faults.rate_limit("chat.postMessage", retry_after=20)
    wait = await show(saved)
    assert wait is not None
    assert wait >= timedelta(seconds=20)
    hand.now += wait
    faults.fail("chat.postMessage", error="cannot_dm_bot", times=10)

    assert await show(saved)
    refused = hand.calls("chat.postMessage")
    assert await show(saved)
    assert hand.calls("chat.postMessage") == refused

    faults.clear()
    hand.now += timedelta(minutes=2)
    await show(saved)
    assert told_directly(hand.stage, WAITING)()


async def test_slack_is_not_asked_again_before_the_time_that_it_has_named(hand: ByHand) -> None:
    saved = await hand.record(r.awaiting_approval())
    hand.stage.slack.faults.rate_limit("chat.update", retry_after=20)
    wait, calls = await hand.built.announcer.show(saved), len(hand.stage.slack.calls)

    assert await hand.built.announcer.show(saved) == wait
    assert len(hand.stage.slack.calls) == calls
    assert wait is not None
    hand.now += wait
    assert await hand.built.announcer.show(saved) is None


async def test_a_step_that_takes_ten_minutes_is_told_in_few_edits_and_its_end_at_once(hand: ByHand) -> None:
    began, told = hand.now, list[int]()
    await hand.show(running := r.running("verify"))
    for second in range(0, 600, 5):
        hand.now = began + timedelta(seconds=second)
        await hand.show(running.but(note=f"{second} of 600", retry_at=hand.now))
        if f"{second} of 600" in hand.card.plain:
            told.append(second)

    assert told[0] <= 10
    assert told[-1] > 300, "it is still told"
    assert len(told) < 15
    assert hand.calls("chat.update") < 30
    gaps = [after - before for before, after in pairwise(told)]
    assert gaps == sorted(gaps), "ever less often"
    await hand.show(r.stopped(running, StopKind.DRIFT, "someone changed a model", "It was changed."))
    assert "stopped: someone changed a model" in hand.card.plain


async def test_edits_stay_within_what_slack_allows_in_a_minute_and_the_last_state_arrives(hand: ByHand) -> None:
    hand.built.announcer._sender._budget = 10  # noqa: SLF001 - as SLACK_EDITS_PER_MINUTE says
    for _ in range(10):
        await hand.show(r.running("verify"))
        wait = await hand.show(r.awaiting_approval())

    assert wait is not None
    assert hand.calls("chat.update") == 10
    assert await hand.until_shown(r.completed()) <= timedelta(minutes=2)
    assert "old key deleted" in hand.card.plain


async def test_where_slack_refuses_every_newer_block_the_state_the_buttons_and_the_thread_arrive(hand: ByHand) -> None:
    slack = hand.stage.slack
    slack.missing_blocks = NEWER | {"table"}

    await hand.until_shown(r.awaiting_approval())

    assert WAITING in hand.card.plain
    assert hand.card.buttons[:3] == ["Delete old key", "Roll back", "Verify again"]
    assert "Approval wanted" in hand.stage.thread(hand.card)
    refused = sum(call.error == "invalid_blocks" for call in slack.calls)
    await hand.until_shown(r.completed())
    assert "old key deleted" in hand.card.plain
    assert sum(call.error == "invalid_blocks" for call in slack.calls) == refused, "what is lacking is known"


async def test_a_card_that_slack_refuses_in_every_form_is_told_directly_and_the_thread_goes_on(hand: ByHand) -> None:
    hand.stage.slack.faults.fail("chat.update", error="msg_blocks_too_long", times=100)

    assert await hand.show(r.awaiting_approval())

    assert "Approval wanted" in hand.stage.thread(hand.card)
    (said,) = hand.stage.slack.direct_messages("U_REQUESTER")
    assert WAITING in said.plain
    hand.stage.slack.faults.clear()
    await hand.until_shown(r.awaiting_approval())
    assert WAITING in hand.card.plain


# --- what Slack refuses while somebody waits for an answer ---


async def test_a_card_that_slack_does_not_take_is_refused_with_a_sentence_and_nothing_begins(stage: Stage) -> None:
    for how, words in (
        (SHUTTING["archived"], "This channel is archived"),
        (SHUTTING["left"], "Keyturn is not in this channel"),
        ({}, "Slack does not take Keyturn's messages at the moment."),
    ):
        if not how:
            stage.slack.faults.rate_limit("chat.postMessage", retry_after=5, times=1)
        shut(stage, **how)
        await stage.slack.person("U_REQUESTER").command(KEY)
        await stage.told("U_REQUESTER", words)
        shut(stage, **OPEN)

    assert await stage.built.store.under_way() == []


async def test_a_form_that_slack_does_not_open_is_said(stage: Stage) -> None:
    card = await stage.ask()
    stage.slack.faults.fail("views.open", error="internal_error", times=2)
    await stage.press("Enter new secret", card)
    await stage.told("U_REQUESTER", "Slack did not open the form.")

    await stage.slack.person("U_REQUESTER").command("")

    await stage.told("U_REQUESTER", "or type `/rotate-key NAME`")


GARBLED = [
    ("upstream connect error", "text/plain", 503),
    ("<html>", "text/html", 200),
    *((body, "application/json", 200) for body in ("[1]", "", '{"ok": true}', '{"ok": true, "user": []}')),
    ('{"ok": true, "user": {"id": "U_APPROVER"}}', "application/json", 200),
]


async def test_where_slack_answers_nonsense_of_who_asks_nothing_is_done(stage: Stage) -> None:
    for answer in GARBLED:
        stage.slack.site.ephemerals.clear()
        stage.slack.faults.garble("users.info", *answer)
        await stage.slack.person("U_REQUESTER").command(KEY)
        await stage.told("U_REQUESTER", "Slack does not tell Keyturn who you are")

    assert stage.slack.messages("C_OPS") == []


async def test_a_person_who_clicked_while_slack_was_away_hears_that_nothing_was_done(stage: Stage) -> None:
    card = await stage.ask()
    stage.slack.faults.drop("*", times=4)  # who it is, and the three ways to answer
    await stage.press("Cancel", card)

    await stage.told("U_REQUESTER", "Slack does not tell Keyturn who you are, so nothing was done.")

    assert await stage.state() is State.AWAITING_SECRET
