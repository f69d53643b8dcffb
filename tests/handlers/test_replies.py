"""A card and its replies are composed and told once; a receipt is edited when it says something else."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import AsyncMock, Mock

import pytest
from slack_sdk.errors import SlackApiError

from bot.rotation.actions import Action
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.people import NOBODY, People
from bot.rotation.record import Rotation
from bot.storage.lists import Page
from handlers.announcer import SlackAnnouncer
from handlers.commands import said_to_us, status
from handlers.direct_messages import Pushes
from handlers.lists import PAGE
from handlers.views import alarm, card, composed, summary, words
from handlers.views.around import Around, told
from handlers.views.buttons import press
from handlers.views.direct import Shut, direct
from tests.handlers import records as r
from tests.handlers.cases import PLACES

DELETED: dict[str, Any] = {"text": "(deleted)", "blocks": []}


class Thread:
    """What a person sees of one rotation. It stands for Slack and for the store's memory of what was sent there."""

    PUSHES = Pushes()

    def __init__(self) -> None:
        self.fields: dict[str, str] = {}
        self.channel: dict[str, Any] = {}
        self.edited: list[str] = []
        self.edits_this_minute = AsyncMock(return_value=0)
        self.concerning, self.load = AsyncMock(return_value=[]), AsyncMock(return_value=None)
        self.hold_on = AsyncMock(return_value=None)
        self.announcer = SlackAnnouncer(
            self,  # type: ignore[arg-type] - a stand-in
            self,  # type: ignore[arg-type] - a stand-in
            team_url="https://keyturn.slack.com",
            approvers=frozenset({"S_APPROVERS"}),
            people=self.people(),
            edits_per_minute=40,
            lease=timedelta(seconds=30),
            now=self.now,
            places=PLACES,
            pushes=self.PUSHES,
        )

    def people(self) -> People:
        return NOBODY

    def now(self) -> datetime:
        return datetime.now(UTC)

    @asynccontextmanager
    async def leased(self, *_: Any) -> AsyncIterator[bool]:
        yield True

    async def messages(self, _: str) -> dict[str, str]:
        return dict(self.fields)

    async def remember_message(self, _: str, fields: dict[str, str]) -> None:
        self.fields.update(fields)

    async def chat_postMessage(self, **message: Any) -> dict[str, str]:  # noqa: N802 - Slack's name
        ts = f"{len(self.channel)}.0"
        self.channel[ts] = message
        return {"ts": ts, "channel": "C_OPS"}

    async def chat_update(self, *, ts: str, **message: Any) -> None:
        self.channel[ts] = message
        self.edited.append(ts)

    async def chat_delete(self, *, channel: str, ts: str) -> None:
        self.channel[ts] = DELETED

    async def show(self, *rotations: Rotation) -> None:
        """Show a rotation as it comes to be."""
        for version, rotation in enumerate(rotations, rotations[0].version):
            self.edited.clear()
            self.fields = {k: v for k, v in self.fields.items() if not k.endswith(":at")}
            assert await self.announcer.show(rotation.but(version=version)) is None

    def edits(self, key: str) -> int:
        parts = [part for part in self.fields if part == key or part.startswith(f"{key}:")]
        return sum(self.fields[part] in self.edited for part in parts)

    def said(self, key: str) -> str:
        return str(self.channel[self.fields[key]]["text"])


@pytest.fixture
def thread() -> Thread:
    return Thread()


async def test_the_receipt_is_edited_at_the_end_of_the_watch(thread: Thread) -> None:
    await thread.show(r.watched())
    assert "no problems so far" in thread.said("receipt")

    await thread.show(r.completed_after_watch(version=2))

    assert "Watched for 1 h: no problems." in thread.said("receipt")
    assert thread.edits("receipt") == 1


async def test_a_look_that_finds_nothing_edits_no_receipt(thread: Thread) -> None:
    await thread.show(r.watched(tally=r.CALLERS), r.watched(tally=r.FAILING_CALLERS))

    assert thread.edits("receipt") == 0
    assert thread.edits("card") == 1


async def test_trouble_is_told_and_edits_the_receipt(thread: Thread) -> None:
    await thread.show(r.watched(), r.watched(troubles=(r.trouble(),)))

    assert "1 problem so far, 1 still open" in thread.said("receipt")
    assert "There is no way back to the old key." in thread.said(f"trouble:{r.at(900).isoformat()}")


async def test_models_that_fail_alike_share_a_line_and_the_receipt_keeps_the_order_of_a_fix(thread: Thread) -> None:
    first, second = r.trouble(), r.trouble(1)
    other = r.trouble(about="`late` in production", sentence="`late` in production refers to the deleted key")
    await thread.show(r.watched(troubles=(first, second, other, r.over(), r.trouble(seconds=1500))))

    alike = f"{first.about}, {second.about} do not answer: the upstream refused"
    assert thread.said(f"trouble:{first.at.isoformat()}").count("▲") == len([alike, other])
    assert alike in thread.said(f"trouble:{first.at.isoformat()}")
    assert "".join(mark for mark in thread.said("receipt") if mark in "▲✔") == "▲▲✔▲"


def test_what_a_direct_message_says_of_the_channel_stands_below_the_buttons() -> None:
    kinds = [block["type"] for block in direct(r.in_trouble(r.watched()), Shut.LEFT)["blocks"]]

    assert kinds[kinds.index("actions") + 1] == "context"
    assert "context" not in kinds[: kinds.index("actions")]


def test_no_confirmation_says_that_nothing_has_moved_while_models_are_being_moved() -> None:
    asks = press(Action.ROLL_BACK, r.running("cut-over"))["confirm"]["text"]["text"]

    assert asks.startswith("Each model that was moved goes back")


async def test_a_card_in_trouble_says_who_was_told_once_slack_has_taken_that_and_not_before(thread: Thread) -> None:
    post, told = thread.chat_postMessage, f"Told: <@{r.REQUESTER}>, "

    async def refusing(**message: Any) -> dict[str, str]:
        if ", after the delete:" in message["text"]:
            raise SlackApiError("", {"ok": False, "error": "internal_error"})
        return await post(**message)

    thread.chat_postMessage = refusing  # type: ignore[method-assign]
    await thread.show(r.watched())
    assert await thread.announcer.show(r.in_trouble(r.watched())) is not None
    assert told not in thread.said("card")

    thread.chat_postMessage = post  # type: ignore[method-assign]
    await thread.show(r.in_trouble(r.watched()).but(version=2))
    assert told in thread.said("card")
    await thread.show(r.watched(troubles=(r.trouble(), r.over()), version=3))
    assert told not in thread.said("card")


@pytest.mark.parametrize(
    ("about", "said"),
    [(f"trouble:{r.at(900).isoformat()}", f"<@{r.APPROVER}>, <!date^17"), ("stopped:2026", ""), ("deleted", "")],
)
def test_a_direct_message_about_another_occasion_says_nothing_of_this_one(about: str, said: str) -> None:
    shown = {f"dm:{r.APPROVER}": f"D_1 1795446300.5 {about} edition", f"dm:{r.REQUESTER}": "", "dm": "x 1"}

    found = told(r.watched(troubles=(r.trouble(),)), shown)

    assert found.startswith(said)
    assert bool(found) is bool(said)


async def test_after_a_submission_the_first_edit_takes_the_button_off_whatever_else_slack_is_slow_with(
    thread: Thread,
) -> None:
    button, edit = Action.ENTER_SECRET.value, thread.chat_update
    await thread.show(r.awaiting_secret())
    assert button in str(thread.channel[thread.fields["card"]])
    given = r.running("replace", version=2)
    thread.fields["card:at"] = f"{thread.now().timestamp():.3f}"  # an edit just before, and no more for mere progress
    thread.edits_this_minute.return_value = 39

    thread.chat_postMessage = AsyncMock(side_effect=TimeoutError)  # type: ignore[method-assign]
    thread.chat_update = AsyncMock(side_effect=TimeoutError)  # type: ignore[method-assign]
    assert await thread.announcer.show(given) == timedelta(seconds=5)

    thread.chat_update = edit  # type: ignore[method-assign]
    assert await thread.announcer.show(given) == timedelta(seconds=5), "the thread comes later"
    assert button not in str(thread.channel[thread.fields["card"]])


async def test_the_card_of_a_key_that_a_rotation_made_links_to_that_rotation(thread: Thread) -> None:
    maker = r.completed()
    key = r.key(id=maker.made[0], display_name=f"{r.NAME} (2026-11-23 {maker.id})")
    thread.load.return_value = maker
    await thread.show(r.awaiting_secret(r.plan(old_key=key)))
    await thread.show(again := r.awaiting_secret(r.plan(old_key=key), version=2))
    assert "made by <https://keyturn.slack.com/archives/C_OPS/p00|an earlier rotation>" in str(thread.channel)

    thread.load.return_value = maker.but(made=())
    await thread.show(again.but(version=3))
    assert "an earlier rotation" not in str(thread.channel)


async def test_every_part_of_a_long_receipt_is_edited(thread: Thread) -> None:
    many = r.plan(r.many(700))
    await thread.show(r.watched(many), r.completed_after_watch(many))

    assert "receipt:2" in thread.fields
    assert thread.edits("receipt") > 1


async def test_other_replies_are_told_once(thread: Thread) -> None:
    await thread.show(r.running("project", voids=(r.void(),)))
    told = len(thread.channel)
    await thread.show(r.running("verify", voids=(r.void(),), version=2))

    assert len(thread.channel) == told


async def test_the_list_tells_a_watch_from_what_is_still_to_come(thread: Thread) -> None:
    rotations = AsyncMock()
    rotations.under_way.return_value = Page([r.watched(), r.running("verify")], 0, 2, 2)
    said = await status(rotations, thread.announcer, "U_MEMBER")

    assert "`OpenAI production`: old key deleted, watching, asked for by" in said
    assert "`OpenAI production`: running, asked for by" in said


async def test_a_long_list_comes_in_pages_and_says_what_it_cannot_show(thread: Thread) -> None:
    rotations = AsyncMock()
    rotations.under_way.return_value = Page([r.running("verify")] * (PAGE - 1), PAGE, 2 * PAGE, 2500)
    said = await status(rotations, thread.announcer, "U_MEMBER", "2")

    assert rotations.under_way.await_args.args == (2, PAGE)
    assert said.startswith("Under way, 11 to 20 of 2,500:\n• ")
    assert said.endswith("1 of them can't be read by this version of Keyturn.\n`/rotate-key status 3` lists the next.")


@pytest.mark.parametrize(("name", "shown"), [("x" * 300, PAGE), ("&" * 300, 8)])
async def test_a_list_cuts_no_line_and_counts_those_that_do_not_fit(thread: Thread, name: str, shown: int) -> None:
    record = r.running("verify")
    record = record.but(plan=record.plan.but(old_key=record.plan.old_key.but(display_name=name)))
    rotations = AsyncMock()
    rotations.under_way.return_value = Page([record] * PAGE, 0, PAGE, PAGE)
    _, *lines = (await status(rotations, thread.announcer, "U_MEMBER")).splitlines()

    assert [line.endswith((")", "yet)")) for line in lines[:shown]] == [True] * shown
    assert lines[shown:] == ([f"And {PAGE - shown} more, which do not fit here."] if shown < PAGE else [])


@pytest.mark.parametrize(
    ("typed", "asks"),
    [
        ("status", ("status", "")),
        ("Status 12", ("status", "12")),
        ("status 0", None),
        ("status prod", None),
        ("history", ("history", "")),
        ("History 2", ("history", "2")),
        ("history key:OpenAI prod since:2026-11-01", ("history", "key:OpenAI prod since:2026-11-01")),
        ("history of tests", None),
        ("receipt r7k2abc", ("receipt", "r7k2abc")),
        ("receipt OpenAI (2026-11-23 r7k2abc-2)", ("receipt", "OpenAI (2026-11-23 r7k2abc-2)")),
        ("receipt printer", None),
        ("help desk", None),
    ],
)
def test_a_word_of_ours_may_have_what_it_takes_and_anything_else_is_a_key(
    typed: str, asks: tuple[str, str] | None
) -> None:
    assert said_to_us(typed) == asks


# --- composed once ---

MANY = r.plan(r.many(500))
MOMENTS = [r.awaiting_secret(MANY), r.running("verify", MANY), r.awaiting_approval(MANY), r.completed(MANY)]


@pytest.mark.parametrize("rotation", MOMENTS, ids=lambda rotation: rotation.state)
async def test_showing_a_rotation_composes_its_card_once(rotation, thread, monkeypatch):
    places = [(alarm, "lines"), (summary, "lines"), (words, "first_move"), (card, "models"), (composed, "card")]
    counts = {place: Mock(wraps=getattr(*place)) for place in places}
    for place, count in counts.items():
        monkeypatch.setattr(*place, count)
    await thread.show(rotation)

    assert [count.call_count for count in counts.values()] == [1] * len(places)


@pytest.mark.parametrize("links", [0, 3])
@pytest.mark.parametrize("count", [1, 60, 99, 100])
def test_the_thread_lists_the_models_exactly_where_the_card_that_is_shown_has_no_room(count: int, links: int) -> None:
    others = ("<https://keyturn.slack.com/archives/C_OPS/p1|asked for by> <@U_MEMBER>" * 3,) * links
    rotation = r.awaiting_secret(r.plan([r.model(n, alias=f"m{n}-{'x' * 70}") for n in range(count)]))
    shown = composed.composed(rotation, r.APPROVERS, Around(others))
    rows = next(len(block["rows"]) - 1 for block in shown.card["blocks"] if block["type"] == "data_table")

    assert any(reply.key == "listing" for reply in shown.replies()) is (rows < count)


async def test_after_the_delete_the_card_waits_a_moment_for_the_first_look_but_never_with_harm() -> None:
    thread = Thread()
    deleted = r.watched(deleted_at=thread.now(), watch_until=None)

    assert await thread.announcer.show(deleted)
    assert not thread.channel
    assert await thread.announcer.show(deleted.but(troubles=(r.trouble(),))) is None
    assert thread.channel["0.0"]["text"].startswith("OpenAI production: old key deleted, watching: 1 problem")


ACCEPTED = Finding(accepted=Acceptance(by=r.APPROVER, at=r.at(70), reason="known"))
IN_DOUBT = r.awaiting_approval()


@pytest.mark.parametrize(
    ("rotation", "key", "mentioned"),
    [
        (r.completed(), "receipt", {r.REQUESTER}),
        (IN_DOUBT.learn({IN_DOUBT.plan.models[0].id: ACCEPTED}), f"accepted:{r.at(70).isoformat()}", set()),
        (r.rolled_back(ended_by=r.APPROVER), "rolled-back", {r.REQUESTER}),
        (r.rolled_back(ended_by=r.REQUESTER), "rolled-back", set()),
        (r.rolled_back(ended_by=r.APPROVER, left_alone=("`x` stays.",)), "rolled-back", {r.REQUESTER}),
    ],
)
def test_a_reply_mentions_those_alone_who_have_something_to_do_and_links_to_the_others(
    rotation: Rotation, key: str, mentioned: set[str]
) -> None:
    around = Around(team_url="https://acme.slack.com/")
    [said] = (reply.content for reply in composed.composed(rotation, r.APPROVERS, around).replies() if reply.key == key)
    people = re.findall(r"<(?:@|https://acme.slack.com/team/)(\w+)", said["text"])

    assert set(re.findall(r"<@(\w+)>", str(said))) == mentioned
    assert people, "somebody is named"
