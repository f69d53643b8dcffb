"""Slack in trouble: a rotation goes on, messages catch up, nothing happens twice, and who can act is told."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any

import pytest

from bot.app import Parts, parts
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.settings import Settings
from sandbox.slack import Message
from tests.handlers import records as r
from tests.support.stage import KEY, NEW_SECRET, WRONG_SECRET, Environment, Stage

WAITING = "waiting for an approver"
DIRECT = "I cannot post in #ops"
SHUTTING: dict[str, dict[str, bool]] = {
    "archived": {"archived": True},
    "left": {"bot_in": False},
    "left, and private": {"bot_in": False, "private": True},
}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Try a channel that is shut again after a moment instead of a minute."""
    monkeypatch.setattr("handlers.channel_unavailable.FIRST_PAUSE", 0.2)
    monkeypatch.setattr("handlers.channel_unavailable.LONGEST_PAUSE", 0.2)


class Heard:
    """Everything that was ever posted, also what somebody deleted."""

    def __init__(self, stage: Stage) -> None:
        self._posted: list[tuple[str, str, bool]] = []
        stage.slack.on_change(self._note)

    def _note(self, kind: str, what: Any) -> None:
        if kind == "message":
            self._posted.append((what.channel, what.plain, bool(what.thread_ts)))

    def milestones(self) -> list[str]:
        """Return the first words of each reply but the checklist, which has a mark."""
        replies = [text for channel, text, in_thread in self._posted if channel == "C_OPS" and in_thread]
        return [text.split("\n")[0] for text in replies if not re.match("[✔◔■·]", text)]


def shut(stage: Stage, **how: bool) -> None:
    for name, value in how.items():
        setattr(stage.slack.channels["C_OPS"], name, value)


def open_again(stage: Stage) -> None:
    shut(stage, archived=False, bot_in=True)


async def once(stage: Stage, heard: Heard) -> None:
    """See that no change was made twice at AISIX, and no milestone told twice."""
    changes = [(c.method, c.path) for c in stage.aisix.calls if c.method != "GET" and "/models" not in c.path]
    moves = [c.path for c in stage.aisix.calls if c.method == "PATCH" and "/models/" in c.path]
    told = heard.milestones()
    assert [method for method, _ in changes] == ["POST", "DELETE"]
    assert len(moves) == len(set(moves)) == 3
    assert sorted(told) == sorted(set(told))
    assert any(text.startswith("Receipt") for text in told)


async def finished(stage: Stage, card: Message, heard: Heard) -> None:
    """Go on from the wait for an approver to the end, and see that all of it happened once."""
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.slack.until(lambda: any(t.startswith("Receipt") for t in heard.milestones()), 30, "the receipt")
    await once(stage, heard)


def told_directly(stage: Stage, *words: str) -> Callable[[], Message | None]:
    """Find a direct message to the requester that says *words*."""
    return lambda: next(
        (m for m in stage.slack.direct_messages("U_REQUESTER") if all(word in m.plain for word in (DIRECT, *words))),
        None,
    )


async def test_who_is_stopped_while_the_channel_is_shut_can_go_on_from_the_direct_message(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card, WRONG_SECRET)
    shut(stage, archived=True)
    shown = card.plain
    stopped = await stage.slack.until(told_directly(stage, "stopped: the new secret was refused"), 30, "the stop")
    assert stopped.buttons == ["Another secret", "Try again", "Roll back"]

    await stage.press("Another secret", stopped)
    asked = await stage.slack.until(told_directly(stage, "waiting for the new secret"), 30, "the question")
    assert asked.buttons == ["Enter new secret", "Cancel"]
    await stage.slack.person("U_REQUESTER").close_modal()
    await stage.give(asked, NEW_SECRET)

    await stage.slack.until(told_directly(stage, WAITING), 30, "the approval")
    assert card.plain == shown, "as it was when the channel was shut"


async def test_slack_down_for_as_long_as_the_work_takes_loses_no_message(stage: Stage) -> None:
    heard = Heard(stage)
    card = await stage.ask()
    await stage.give(card)
    stage.slack.faults.drop("*", times=10_000)
    await stage.recorded(lambda r: r.state is State.AWAITING_APPROVAL)
    assert WAITING not in card.plain

    stage.slack.faults.clear()

    await stage.says(card, WAITING)
    await finished(stage, card, heard)


# --- with a clock of our own ---


class Clock:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self.moment = r.at(4000)

    def __call__(self) -> datetime:
        return self.moment

    def go(self, by: timedelta) -> None:
        self.moment += by


@asynccontextmanager
async def shown_by_hand(stage: Stage, clock: Clock) -> AsyncIterator[Parts]:
    """Build the bot without its two orphans: nothing is shown but what a test has shown."""
    with Environment(stage.environ):
        settings = Settings(_env_file=None)
    async with parts(settings, clock) as built:
        yield built


async def recorded_as(built: Parts, rotation: Rotation) -> Rotation:
    """Put *rotation* into the store as the next version of what is there."""
    before = await built.store.load(rotation.id)
    version = before.version if before else 0
    return await built.store.save(
        rotation.but(version=version), {"by": "a test", "what": "recorded", "why": ""}, at=built.world.now()
    )


async def until_shown(built: Parts, rotation: Rotation, clock: Clock) -> timedelta:
    """Show *rotation* as often as the announcer asks to; return how long that took by the clock."""
    began = clock.moment
    for _ in range(500):
        wait = await built.announcer.show(rotation)
        if wait is None:
            return clock.moment - began
        clock.go(wait)
    raise AssertionError("It is never shown.")


@pytest.mark.parametrize("fault", ["rate_limit", "fail", "drop"])
async def test_after_minutes_without_slack_everything_is_shown_once(bare_stage: Stage, fault: str) -> None:
    stage, clock, heard = bare_stage, Clock(), Heard(bare_stage)
    async with shown_by_hand(stage, clock) as built:
        saved = await recorded_as(built, r.awaiting_secret())
        await built.announcer.first(saved)
        saved = await recorded_as(built, r.awaiting_approval())
        match fault:
            case "rate_limit":
                stage.slack.faults.rate_limit("*", retry_after=30, times=10)
            case "fail":
                stage.slack.faults.fail("*", status=503, times=40)
            case _:
                stage.slack.faults.drop("*", times=60, after_effect=False)

        took = await until_shown(built, saved, clock)

        assert took >= timedelta(minutes=5)
        assert WAITING in stage.slack.messages("C_OPS")[0].plain
        told = heard.milestones()
        assert len(told) == len(set(told)) > 2


@pytest.mark.parametrize(
    ("what", "tombstones"),
    [("card", True), ("checklist", True), ("replies", True), ("everything", True), ("everything", False)],
)
async def test_what_somebody_deletes_comes_again_where_it_is_needed_and_no_milestone_does(
    bare_stage: Stage,
    what: str,
    tombstones: bool,  # noqa: FBT001
) -> None:
    stage, clock, heard = bare_stage, Clock(), Heard(bare_stage)
    stage.slack.tombstones = tombstones
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        await built.announcer.show(await recorded_as(built, r.awaiting_approval()))
        (card,) = stage.slack.messages("C_OPS")
        checklist, *replies = stage.slack.thread(card)
        gone = {"card": [card], "checklist": [checklist], "replies": replies}
        for message in gone.get(what, [*replies, checklist, card]):
            stage.slack.remove(message)

        await until_shown(built, await recorded_as(built, r.awaiting_approval(reminded_at=r.at(5000))), clock)

        (now,) = stage.slack.messages("C_OPS")
        assert now.buttons == ["Delete old key", "Roll back"]
        assert "reminded" in now.plain
        assert "Still waiting for" in stage.thread(now)
        await until_shown(built, await recorded_as(built, r.completed()), clock)
        marked = [m for m in stage.slack.thread(now) if m.plain.startswith("✔")]
        assert len(marked) == 1, "the checklist is there, once"
        told = heard.milestones()
        assert len(told) == len(set(told)) > 4


async def test_a_reply_that_finds_no_thread_to_stand_in_brings_the_card_back(bare_stage: Stage) -> None:
    stage, clock, heard = bare_stage, Clock(), Heard(bare_stage)
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        saved = await recorded_as(built, r.awaiting_approval())
        await built.announcer.show(saved)
        (card,) = stage.slack.messages("C_OPS")
        stage.slack.remove(card)
        missing = next(key for key in await built.store.messages(saved.id) if key.startswith("approval:"))
        await built.store.remember_message(saved.id, {missing: ""})
        before = len(heard.milestones())

        await until_shown(built, saved, clock)

        (now,) = stage.slack.messages("C_OPS")
        assert now.buttons == ["Delete old key", "Roll back"]
        assert [reply.plain.split()[0] for reply in stage.slack.thread(now)] == ["✔", "Approval"]
        assert len(heard.milestones()) == before + 1, "nothing else is told again"


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
    "trouble": ("left", r.watched(troubles=(r.trouble(),)), "something is wrong"),
    "deleted": ("archived", r.completed(), "still works at the provider until it is revoked"),
}


@pytest.mark.parametrize("occasion", LATER)
async def test_whoever_has_to_act_is_told_directly_once_on_each_occasion(bare_stage: Stage, occasion: str) -> None:
    stage, clock = bare_stage, Clock()
    how, rotation, words = LATER[occasion]
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        shut(stage, **SHUTTING[how])
        saved = await recorded_as(built, rotation)

        for _ in range(5):
            wait = await built.announcer.show(saved)
            assert wait is not None, "it is tried again"
            clock.go(wait)

        (said,) = stage.slack.direct_messages("U_REQUESTER")
        assert DIRECT in said.plain
        assert words in said.plain
        assert ("Unarchive that channel" if how == "archived" else "/invite @keyturn") in said.plain
        open_again(stage)
        await until_shown(built, saved, clock)
        assert words in stage.slack.messages("C_OPS")[0].plain
        assert (await built.store.messages(saved.id))["shut"] == ""


async def test_a_channel_that_stays_shut_is_tried_ever_less_often_and_in_the_end_no_more(
    bare_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.channel_unavailable.FIRST_PAUSE", 60.0)
    monkeypatch.setattr("handlers.channel_unavailable.LONGEST_PAUSE", 3600.0)
    stage, clock = bare_stage, Clock()
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        shut(stage, archived=True)
        saved = await recorded_as(built, r.completed())

        took = await until_shown(built, saved, clock)

        assert timedelta(days=7) <= took <= timedelta(days=8)
        assert len([c for c in stage.slack.calls if c.method == "chat.update"]) < 200
        assert len(stage.slack.direct_messages("U_REQUESTER")) == 1


async def test_a_change_while_the_channel_is_shut_is_not_kept_for_the_next_try(
    bare_stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("handlers.channel_unavailable.FIRST_PAUSE", 60.0)
    stage, clock = bare_stage, Clock()
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        shut(stage, bot_in=False)
        await built.announcer.show(await recorded_as(built, r.running("verify")))
        assert stage.slack.direct_messages("U_REQUESTER") == []

        await built.announcer.show(await recorded_as(built, r.awaiting_approval()))

        assert told_directly(stage, WAITING)()


async def test_a_requester_who_cannot_be_written_to_is_no_reason_to_hammer_slack(bare_stage: Stage) -> None:
    stage, clock = bare_stage, Clock()
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        shut(stage, archived=True)
        saved = await recorded_as(built, r.awaiting_approval())
        stage.slack.faults.fail("chat.postMessage", error="cannot_dm_bot", times=10)

        assert await built.announcer.show(saved)
        assert await built.announcer.show(saved)

        assert len([c for c in stage.slack.calls if c.method == "chat.postMessage"]) == 2, "the card, and one try"


async def test_a_direct_message_that_is_limited_comes_later(bare_stage: Stage) -> None:
    stage, clock = bare_stage, Clock()
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        shut(stage, archived=True)
        saved = await recorded_as(built, r.awaiting_approval())
        stage.slack.faults.rate_limit("chat.postMessage", retry_after=20)

        wait = await built.announcer.show(saved)
        assert wait is not None
        assert wait >= timedelta(seconds=20)
        clock.go(wait)
        await built.announcer.show(saved)

        assert told_directly(stage, WAITING)()


async def test_slack_is_not_asked_again_before_the_time_that_it_has_named(bare_stage: Stage) -> None:
    stage, clock = bare_stage, Clock()
    async with shown_by_hand(stage, clock) as built:
        await built.announcer.first(await recorded_as(built, r.awaiting_secret()))
        saved = await recorded_as(built, r.awaiting_approval())
        stage.slack.faults.rate_limit("chat.update", retry_after=20)
        wait, calls = await built.announcer.show(saved), len(stage.slack.calls)

        assert await built.announcer.show(saved) == wait
        assert len(stage.slack.calls) == calls
        clock.go(wait)
        assert await built.announcer.show(saved) is None


async def test_a_card_that_is_asked_for_in_a_channel_that_is_shut_is_refused_with_a_sentence(stage: Stage) -> None:
    for how, words in (("archived", "This channel is archived"), ("left", "I am not in this channel")):
        shut(stage, **SHUTTING[how])
        await stage.slack.person("U_REQUESTER").command(KEY)
        await stage.told("U_REQUESTER", words)
        open_again(stage)

    assert await stage.built.store.under_way() == []
