"""Home follows what changes: once a person and burst, within Slack's limits, and without asking AISIX each time."""

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from redis.asyncio import Redis
from slack_sdk.errors import SlackApiError

from bot.rotation.actions import Action
from bot.rotation.overview import Overview
from bot.rotation.record import Rotation, Trouble
from bot.rotation.states import State
from bot.storage.visitors import LATELY, Visitors
from handlers.home import MOST, REFRESH_EVERY, HomeTab
from handlers.views.links import NOWHERE
from sandbox.slack import check_view
from sandbox.slack.reading import plain
from tests.bot.conftest import Desk
from tests.bot.values import NAMESPACE, NOW, running

LIMITED = SimpleNamespace(data={"ok": False, "error": "ratelimited"}, status_code=429, headers={"Retry-After": "30"})


class Tabs:
    """What Slack shows of Home to whom, and how often it was told."""

    def __init__(self) -> None:
        self.shown: dict[str, str] = {}
        self.told: list[str] = []
        self.refuses = False

    async def views_publish(self, *, user_id: str, view: dict[str, Any]) -> None:
        if self.refuses:
            raise SlackApiError("no", LIMITED)
        assert check_view(view) == []
        self.told.append(user_id)
        self.shown[user_id] = plain(view["blocks"])


class Links:
    places = NOWHERE

    async def link(self, rotation: Rotation) -> str:
        return f"https://keyturn.slack.com/archives/{rotation.channel}/p1"


class House:
    """A Home tab over a real store and a sandbox's AISIX, at a time that the test sets."""

    def __init__(self, desk: Desk, visitors: Visitors) -> None:
        self.desk, self.tabs, self.time = desk, Tabs(), NOW
        desk.service._now = lambda: self.time  # noqa: SLF001
        self.home = HomeTab(
            self.tabs,  # type: ignore[arg-type] - a stand-in
            desk.service,
            Links(),  # type: ignore[arg-type] - a stand-in
            store=desk.store,
            visitors=visitors,
            now=lambda: self.time,
        )

    async def changes(self, *records: Rotation) -> None:
        for record in records:
            self.home.changed(record)

    async def after(self, length: timedelta) -> list[str]:
        """Return who was told after that time, in which many looks found nothing to do."""
        self.tabs.told.clear()
        self.time += length
        for _ in range(3):
            await self.home.refresh()
        return sorted(self.tabs.told)


@pytest.fixture
def house(desk: Desk, redis: Redis) -> House:
    return House(desk, Visitors(redis, NAMESPACE))


async def test_a_burst_of_changes_is_one_update_a_person_and_what_is_equal_is_not_sent(house: House) -> None:
    for person in ("U_REQUESTER", "U_APPROVER"):
        await house.home.open(person)
    record = await house.desk.ask("OpenAI production")
    await house.changes(record, await house.desk.save(record, state=State.RUNNING, attempt=1))

    assert await house.after(REFRESH_EVERY) == ["U_APPROVER", "U_REQUESTER"]
    await house.changes(record.but(state=State.RUNNING, attempt=1, note="2 of 3"))
    assert await house.after(REFRESH_EVERY) == []


async def test_changes_right_after_an_update_wait_and_are_not_lost(house: House) -> None:
    await house.home.open("U_REQUESTER")
    record = await house.desk.ask("OpenAI production")
    await house.changes(record)
    assert await house.after(timedelta(0)) == ["U_REQUESTER"]

    await house.changes(await house.desk.service.cancel(record.id, by="U_REQUESTER"))
    assert await house.after(timedelta(seconds=1)) == []
    assert await house.after(REFRESH_EVERY) == ["U_REQUESTER"]
    assert "cancelled" in house.tabs.shown["U_REQUESTER"]


async def test_where_slack_asks_for_a_pause_it_has_it_and_the_update_comes_after(house: House) -> None:
    await house.home.open("U_REQUESTER")
    await house.changes(await house.desk.ask("OpenAI production"))
    house.tabs.refuses = True
    assert await house.after(REFRESH_EVERY) == []

    house.tabs.refuses = False
    assert await house.after(timedelta(seconds=29)) == []
    assert await house.after(timedelta(seconds=2)) == ["U_REQUESTER"]


async def test_only_the_last_who_opened_home_within_a_day_follow_changes(house: House) -> None:
    await house.home.open("U_LONG_AGO")
    house.time += LATELY + timedelta(seconds=1)
    for number in range(MOST + 3):
        await house.home.open(f"U_{number:03}")
        house.time += timedelta(seconds=1)
    await house.changes(await house.desk.ask("OpenAI production"))

    assert await house.after(REFRESH_EVERY) == [f"U_{number:03}" for number in range(3, MOST + 3)]


async def test_who_is_a_guest_by_now_sees_one_sentence_and_is_forgotten(house: House) -> None:
    await house.home.open("U_REQUESTER")
    house.desk.slack.said["U_REQUESTER"] = {"guest": True}
    record = await house.desk.ask("OpenAI production", "U_COLLEAGUE")
    await house.changes(record)

    assert await house.after(REFRESH_EVERY) == ["U_REQUESTER"]
    assert house.tabs.shown["U_REQUESTER"] == "Guests cannot use Keyturn. Ask a full member of this workspace."
    await house.changes(await house.desk.service.cancel(record.id, by="U_COLLEAGUE"))
    assert await house.after(REFRESH_EVERY) == []


async def test_where_slack_cannot_tell_who_somebody_is_their_tab_shows_no_key(house: House) -> None:
    house.desk.slack.is_away = True
    await house.home.open("U_REQUESTER")

    assert house.tabs.shown["U_REQUESTER"] == "Slack does not tell Keyturn who you are."


async def test_aisix_is_asked_for_its_keys_once_a_minute_whoever_opens_home(house: House) -> None:
    await house.home.open("U_REQUESTER")
    once = len(house.desk.tenant.calls("GET", "/provider_keys"))
    for person in ("U_APPROVER", "U_MEMBER"):
        await house.home.open(person)
    assert len(house.desk.tenant.calls("GET", "/provider_keys")) == once

    house.time += timedelta(minutes=1)
    await house.home.open("U_REQUESTER")
    assert len(house.desk.tenant.calls("GET", "/provider_keys")) > once


async def test_without_aisix_the_rest_of_home_is_shown(house: House, desk: Desk) -> None:
    await desk.ask("OpenAI production")
    desk.tenant.aisix.faults.fail("GET", "/provider_keys", 403, times=None)
    await house.home.open("U_REQUESTER")

    assert "AISIX can't be read now." in house.tabs.shown["U_REQUESTER"]
    assert "Give the new secret." in house.tabs.shown["U_REQUESTER"]


async def test_group_members_are_asked_for_once_for_everybody(house: House) -> None:
    house.desk.slack.asked.clear()
    seen = await house.desk.service.homes([f"U_{number}" for number in range(9)])

    assert all(isinstance(one, Overview) for one in seen.values())
    assert house.desk.slack.asked.count("S_APPROVERS") == 1


async def test_harm_waits_on_the_home_of_those_in_escalation_too(desk: Desk) -> None:
    wrong = Trouble(at=NOW, about="chat", sentence="chat does not answer")
    await desk.save(running(deleted_at=NOW, troubles=(wrong,)))

    seen = await desk.service.homes(["U_ONCALL", "U_COLLEAGUE"])
    acts = {who: one.waiting[0].actions for who, one in seen.items() if isinstance(one, Overview)}
    assert {who: Action.ON_IT in those for who, those in acts.items()} == {"U_ONCALL": True, "U_COLLEAGUE": False}
