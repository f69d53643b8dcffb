"""What `/metrics` serves is true, says so where it can't be read, and is what the guide and `deploy/` name."""

import asyncio
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import Any

import aiohttp
import pytest
from slack_sdk.errors import SlackApiError

from bot import gauges
from bot.gauges import Gauges
from bot.rotation.errors import Unanswerable, Uncertain
from bot.rotation.progress import how_left
from bot.rotation.states import State, StepName
from bot.storage.figures import Figures, Shared
from bot.storage.jobs import Jobs
from bot.telemetry.metrics import REGISTRY
from handlers.slack import counted
from tests.bot.values import EVENT, NAMESPACE, NOW, SECRET, SOAKED, approval, later, plan_of, rotation, running, stopped

HOUR = 3600
NOTHING = Shared({}, {}, 0, 0, 0, 0)


async def put(store, number, record):
    return await store.save(record.but(id=f"r{number}", plan=plan_of(f"pk_{number}")), EVENT, at=NOW)


def waiting(**fields):
    return running(**fields).but(state=State.AWAITING_APPROVAL)


# --- what Redis counts ---


async def test_open_rotations_are_counted_by_state_with_the_oldest_wait_for_a_person(store, redis, queue):
    for number, record in enumerate(
        (
            rotation(),
            rotation(secret_asked_at=later(-HOUR)),
            running(),
            stopped(),
            waiting(asked_at=later(-60)),
            waiting(asked_at=later(-90)),
            rotation(State.CANCELLED),
        )
    ):
        await put(store, number, record)
    done = await put(store, 9, stopped())
    await store.save(done.to(State.CANCELLED), EVENT, at=NOW)
    await store.set_due(running(id="r2", version=1, plan=plan_of("pk_2")), later(60))
    await Jobs(queue).advance(done)

    assert await Figures(redis, NAMESPACE).read(NOW) == Shared(
        states={"AWAITING_SECRET": 2, "RUNNING": 1, "BLOCKED": 1, "AWAITING_APPROVAL": 2},
        oldest={
            "AWAITING_SECRET": later(-HOUR).timestamp(),
            "BLOCKED": NOW.timestamp(),
            "AWAITING_APPROVAL": later(-90).timestamp(),
        },
        unknown=0,
        due=5,
        queued=1,
        active=0,
    )
    assert await redis.hlen(store.key("states")) == 6


async def test_what_an_older_version_wrote_is_unknown_until_a_sweep_has_read_it(store, redis):
    saved, ended = await put(store, 1, stopped()), await put(store, 2, running())
    await redis.hdel(store.key("states"), saved.id)
    await redis.srem(store.key("open"), ended.id)
    figures = Figures(redis, NAMESPACE)

    assert (await figures.read(NOW))[:3] == ({}, {}, 1)
    await store.set_due(saved, None)
    assert (await figures.read(NOW))[:3] == ({"BLOCKED": 1}, {"BLOCKED": NOW.timestamp()}, 0)


async def test_counting_thousands_of_rotations_reads_no_record(store, redis):
    names = {f"r{number}": f"AWAITING_APPROVAL {number}" for number in range(2500)}
    await redis.sadd(store.key("open"), *names)
    await redis.hset(store.key("states"), mapping=names)
    figures = Figures(redis, NAMESPACE)
    await figures.read(NOW)
    await redis.config_resetstat()

    assert (await figures.read(NOW)).states == {"AWAITING_APPROVAL": 2500}
    sent = await redis.info("commandstats")
    assert not {"cmdstat_get", "cmdstat_mget", "cmdstat_smembers"} & sent.keys()
    assert (await redis.info("stats"))["total_net_output_bytes"] < 20_000


async def test_a_rotation_counts_when_it_enters_a_state_and_not_with_each_write(store):
    def entered() -> float:
        return REGISTRY.get_sample_value("keyturn_rotations_total", {"state": "RUNNING"}) or 0

    before, record = entered(), await put(store, 1, rotation())
    record = await store.save(record.to(State.RUNNING), EVENT, at=NOW)
    await store.save(record.but(note="on"), EVENT, at=NOW)

    assert entered() == before + 1


async def test_a_lease_counts_while_it_is_held_and_by_who_holds_it(store):
    def held() -> float | None:
        return REGISTRY.get_sample_value("keyturn_leases_held")

    async with store.leased("r1", 0.2), store.leased("r1", 0.2):
        assert held() == 1
    assert held() == 0


# --- how a step is left ---

AT_RECHECK = running(done=SOAKED)
AT_DELETE = running(done=(*SOAKED, StepName.RECHECK), approvals=(approval(),))
BEGUN = running(step_since=NOW)


@pytest.mark.parametrize(
    ("before", "after", "how"),
    [
        (running(), BEGUN, ""),
        (BEGUN, running(done=(StepName.REPLACE,)), "done"),
        (BEGUN, stopped(), "stopped"),
        (BEGUN, rotation(attempt=1), "asked"),
        (AT_DELETE, AT_RECHECK.but(approvals=(approval(),)), "again"),
        (AT_DELETE, AT_RECHECK.but(state=State.AWAITING_APPROVAL), "unapproved"),
        (AT_RECHECK, AT_RECHECK.but(state=State.AWAITING_APPROVAL), ""),
        (waiting(), running(), ""),
        (stopped(), running(), ""),
    ],
)
def test_the_outcome_of_a_step_says_how_it_was_left(before, after, how):
    assert how_left(before, after) == how


# --- what a scrape shows ---


class Around:
    """What a scrape asks: each answer can be an error, or never come."""

    def __init__(self) -> None:
        self.shared: Any = NOTHING
        self.dates: Any = {}
        self.missing: Any = None
        self.time, self.asked = NOW, list[str]()

    async def answer(self, what: str) -> Any:
        self.asked.append(what)
        said = getattr(self, what)
        if isinstance(said, Exception):
            raise said
        return await said.wait() if isinstance(said, asyncio.Event) else said

    def gauges(self) -> Gauges:
        dates, missing = (partial(self.answer, what) for what in ("dates", "missing"))
        return Gauges(lambda _: self.answer("shared"), dates, missing, lambda: self.time)

    async def scraped(self) -> dict[tuple[str, ...], float]:
        """Scrape twice, as the second scrape shows the keys that the first one lists; return what it shows."""
        async with self.gauges() as made:
            await made.read()
            families = await made.read()
        return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


@pytest.fixture
def around(monkeypatch) -> Around:
    monkeypatch.setattr(gauges, "WITHIN", 0.01)
    return Around()


async def test_a_scrape_shows_each_open_state_and_how_long_the_first_one_has_waited(around):
    around.shared = Shared({"BLOCKED": 2}, {"BLOCKED": later(-HOUR).timestamp()}, 1, 5, 7, 3)
    shown = await around.scraped()

    assert {of: value for (name, *of_), value in shown.items() for of in of_ if name == "keyturn_open_rotations"} == {
        "AWAITING_SECRET": 0, "RUNNING": 0, "BLOCKED": 2, "AWAITING_START": 0, "AWAITING_APPROVAL": 0,
        "ROLLING_BACK": 0, "unknown": 1,
    }  # fmt: skip
    waits = [shown["keyturn_oldest_wait_seconds", state] for state in gauges.WAITING]
    assert waits == [0, 0, 0, HOUR]
    assert shown["keyturn_due_rotations",] == 5
    assert (shown["keyturn_jobs", "queued"], shown["keyturn_jobs", "active"]) == (7, 3)
    assert (shown["keyturn_ready",], shown["keyturn_redis_up",]) == (1, 1)


@pytest.mark.parametrize("away", [Unanswerable("Redis is away."), asyncio.Event()], ids=["an error", "no answer"])
async def test_a_scrape_is_answered_without_what_could_not_be_counted(around, away):
    around.shared = away
    shown = await around.scraped()

    assert (shown["keyturn_redis_up",], shown["keyturn_ready",]) == (0, 1)
    assert not {name for name, *_ in shown} & {"keyturn_open_rotations", "keyturn_due_rotations", "keyturn_jobs"}


@pytest.mark.parametrize("missing", ["Slack is not connected.", asyncio.Event()], ids=["a reason", "no answer"])
async def test_a_process_that_is_not_ready_or_does_not_say_so_in_time_is_not_ready(around, missing):
    around.missing = missing

    assert (await around.scraped())["keyturn_ready",] == 0


async def test_keys_are_counted_by_age_and_those_without_a_date_are_not_young(around):
    around.dates = {"undated": None, **{str(days): NOW - timedelta(days=days) for days in (1, 29.9, 30, 364, 365, 900)}}
    shown = await around.scraped()

    counts = {of: value for (name, *of_), value in shown.items() for of in of_ if name == "keyturn_provider_keys"}
    assert counts == {"0-30d": 2, "30-90d": 1, "90-180d": 0, "180-365d": 1, "365d-": 2, "unknown": 1}
    assert shown["keyturn_provider_key_oldest_age_seconds",] == 900 * 24 * HOUR


@pytest.mark.parametrize("away", [Uncertain("AISIX is not answering."), asyncio.Event()], ids=["an error", "no answer"])
async def test_no_age_is_shown_of_keys_that_aisix_does_not_list_and_no_scrape_waits_for_it(around, away):
    around.dates = away

    assert not [name for name, *_ in await around.scraped() if name.startswith("keyturn_provider_key")]


async def test_keys_are_listed_again_after_a_while_and_sooner_when_that_failed(around):
    listed = {}
    async with around.gauges() as made:
        for seconds in (0, 899, 900, 959, 960):
            around.time, around.dates = later(seconds), Uncertain("AISIX is not answering.") if seconds == 900 else {}
            before = around.asked.count("dates")
            await made.read()
            shown = {family.name for family in await made.read()}
            listed[seconds] = (around.asked.count("dates") > before, "keyturn_provider_keys" in shown)

    assert listed == {0: (True, True), 899: (False, True), 900: (True, False), 959: (False, False), 960: (True, True)}


async def test_the_ages_of_keys_are_what_aisix_says_and_a_key_without_a_date_stays_in_the_list(tenant):
    tenant.key.created_at = NOW.isoformat()
    undated = tenant.aisix.add_key("Another", secret=SECRET)
    undated.created_at = "long ago"
    control_plane = await tenant.control_plane()

    assert await control_plane.key_dates() == {tenant.key.id: NOW, undated.id: None}


# --- how a call ends ---


def called(service: str, verb: str, outcome: str) -> float:
    labels = {"service": service, "verb": verb, "outcome": outcome}
    return REGISTRY.get_sample_value("keyturn_calls_total", labels) or 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (None, "ok"),
        (SlackApiError("no", {"error": "ratelimited"}), "ratelimited"),
        (SlackApiError("no", "<html>"), "unreadable"),
        (aiohttp.ServerTimeoutError(), "time-out"),
        (TimeoutError(), "time-out"),
        (aiohttp.ServerDisconnectedError(), "unreachable"),
        (ConnectionResetError(), "unreachable"),
        (aiohttp.ClientPayloadError(), "broken"),
        (ValueError("no JSON"), "broken"),
    ],
)
def test_the_outcome_of_a_call_of_slack_is_how_it_ended(error, outcome):
    before = called("slack", "a.method", outcome)
    with suppress(Exception), counted("a.method"):
        if error:
            raise error

    assert called("slack", "a.method", outcome) == before + 1


@pytest.mark.parametrize(
    ("given", "outcome"), [({"timeout": 0.1}, "time-out"), ({"url": "http://127.0.0.1:9"}, "unreachable")]
)
async def test_the_outcome_of_a_test_request_without_an_answer_says_why(tenant, given, outcome):
    tenant.aisix.upstream.set(tenant.key.secret, "hang")
    before, gateways = called("gateway", "chat", outcome), await tenant.gateways(**given)
    await gateways.probe(tenant.affected(), "r1")

    assert called("gateway", "chat", outcome) == before + 1
