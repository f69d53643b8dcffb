"""A list that cannot be read is not empty: what was shown must be there at the delete, the rest is listened to."""

from typing import Any

import pytest

from bot.aisix.counters import PROXY
from bot.rotation.counted import OldKeyUsage
from bot.rotation.inventory import BUDGETS, POLICIES, ROUTES, Unlisted
from bot.rotation.plan import Plan
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.steps.unseen import Coverage, uncovered
from sandbox.aisix import Switches
from sandbox.aisix.store import Environment
from tests.bot.values import NOW, affected, back, key, running
from tests.support.in_memory import tenancy_of

pytestmark = pytest.mark.whole

LISTS = {"passthrough_routes": ROUTES, "cache_policies": POLICIES}


# --- what was shown must be shown at the delete ---


@pytest.mark.parametrize(
    ("where", "part", "status", "done", "said"),
    [
        ("staging", "passthrough_routes", 404, "soak", "AISIX showed the passthrough routes of `staging`"),
        ("staging", "cache_policies", 501, "soak", "AISIX showed the cache policies of `staging`"),
        ("", "cache_policies", 404, "recheck", "AISIX showed the cache policies of `production`, `staging`"),
        ("", "passthrough_routes", 403, "soak", "AISIX does not show the passthrough routes"),
        ("", "cache_policies", 500, "soak", "AISIX does not show the cache policies"),
        ("", "budgets", 403, "soak", "AISIX does not show the budgets"),
    ],
)
async def test_a_list_that_is_not_shown_any_more_stops_the_delete_by_name(tenancy, where, part, status, done, said):
    machine = await tenancy.machine()
    record = await tenancy.released(machine, done=done)
    environment = f"/environments/{tenancy.aisix.environment(where).id}" if where else ""
    tenancy.aisix.faults.fail("GET", f"{environment}/{part}", status, times=None)
    stopped = await machine.stopped(record)

    assert said in stopped.stop.sentence
    assert tenancy.deletes() == 0
    tenancy.aisix.faults.clear()
    assert (await machine.ended(stopped.to(State.RUNNING))).state is not State.BLOCKED


@pytest.mark.parametrize("part", LISTS)
async def test_on_the_way_back_a_key_stays_that_something_unseen_may_use(tenancy, part):
    """A route that was pointed at the replacement, as the card asks for, and is not listed now."""
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    tenancy.aisix.add_passthrough("production", "tunnel", key=tenancy.new)
    tenancy.aisix.faults.fail("GET", f"/{part}", 404, times=None)
    ended = await machine.ended(back(record))

    assert ended.state is State.ROLLED_BACK
    assert tenancy.new.id in tenancy.aisix.provider_keys
    seen = f"AISIX does not show the {LISTS[part]} of `production`, `staging`"
    used = "passthrough route `tunnel` in production uses it"
    assert (used if part == "cache_policies" else seen) in ended.left_alone[-1]


async def test_on_the_way_back_a_key_stays_that_an_environment_unseen_may_use(tenancy):
    machine = await tenancy.machine()
    lab = Environment("lab")
    tenancy.aisix.store.environments[lab.id] = lab
    record = await tenancy.asked(machine)
    lab.is_visible = False
    ended = await machine.ended(back(record))

    assert tenancy.new.id in tenancy.aisix.provider_keys
    assert ended.left_alone == (f"Key `{tenancy.new.id}` of this rotation stays: AISIX does not show `lab` any more.",)


async def test_what_an_older_version_has_verified_is_verified_again_and_what_it_did_not_note_is_listened_to(tenancy):
    """It took an unlisted route for none, and a proof for enough that is not enough now."""
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    old = record.but(plan=record.plan.but(tenant={}, unlisted=()))
    tenancy.aisix.faults.fail("GET", "/cache_policies", 404, times=None)
    again = await machine.voided(tenancy.approved(old))
    assert [void.changes for void in again.voids] == [("It was verified by a version of Keyturn that looked at less.",)]

    asked = await machine.ended(again)
    assert (asked.state, {one.kind for one in asked.plan.unlisted}) == (State.AWAITING_APPROVAL, {POLICIES})
    assert (await machine.ended(tenancy.approved(asked))).state is State.COMPLETED


# --- what cannot be listed at all is listened to ---


def without(kind: str, **others: Any) -> Switches:
    had = {"has_passthrough_routes": ROUTES, "has_cache_policies": POLICIES, "has_budgets": BUDGETS}
    lists = {name: value != kind for name, value in had.items()}
    return Switches(**{"cooldown": 0.0, "metric_labels": "full"} | lists | others)


@pytest.mark.once
@pytest.mark.parametrize("kind", [ROUTES, POLICIES, BUDGETS])
async def test_the_impact_says_what_cannot_be_listed_and_where_every_replica_is_silent_it_is_deleted(kind):
    async with tenancy_of(without(kind)) as tenancy:
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        where = ":" if kind == BUDGETS else " of `production`, `staging`"

        assert any(f"AISIX does not list the {kind}{where}" in warning for warning in record.plan.warnings)
        assert (await machine.ended(tenancy.approved(record))).state is State.COMPLETED


@pytest.mark.parametrize(("kind", "has_addresses"), [(ROUTES, False), (POLICIES, True), (BUDGETS, True)])
async def test_where_a_replica_is_not_heard_no_approver_is_asked_until_it_is_or_the_list_can_be_read(
    kind, has_addresses
):
    async with tenancy_of(without(kind, status_urls=has_addresses)) as tenancy:
        replica = tenancy.aisix.replicas("staging")[0]
        replica.metrics_available = not has_addresses
        machine = await tenancy.machine()
        stopped = await machine.stopped(await tenancy.begun(machine))

        said = (StopKind.UNVERIFIED, "something unseen may use the old key")
        assert (stopped.stop.kind, stopped.stop.headline) == said
        assert f"AISIX does not list the {kind} of" in stopped.stop.sentence
        assert "`status_urls`" in stopped.stop.sentence

        replica.metrics_available = tenancy.aisix.switches.has_passthrough_routes = True
        again = await machine.ended(stopped.to(State.RUNNING))
        assert again.state is State.AWAITING_APPROVAL
        assert (await machine.ended(tenancy.approved(again))).state is State.COMPLETED


async def test_an_environment_of_other_models_is_listened_to_as_well_also_after_the_approval():
    async with tenancy_of(without(ROUTES)) as tenancy:
        tenancy.aisix.edit(tenancy.staged, key=tenancy.aisix.add_key("another", secret="sk-other"), settled=True)
        machine = await tenancy.machine()
        record = await tenancy.asked(machine)
        assert set(record.plan.environments.values()) == {"production"}
        assert "staging.0" in {silence.name for silence in record.silences}

        tenancy.aisix.replicas("staging")[0].metrics_available = False
        assert (await machine.ended(tenancy.approved(record))).state is State.BLOCKED
        assert tenancy.deletes() == 0


@pytest.mark.parametrize("deaf", [{"hidden_families": frozenset({PROXY})}, {"metric_labels": "no_key"}])
async def test_counters_that_cannot_show_a_passthrough_route_do_not_stand_in_for_the_list(deaf):
    async with tenancy_of(without(ROUTES, **deaf)) as tenancy:
        machine = await tenancy.machine()
        stopped = await machine.stopped(await tenancy.begun(machine))

    assert stopped.stop.headline in ("something unseen may use the old key", "the new secret is not proved")


async def test_a_route_that_is_on_no_list_and_is_used_once_a_minute_is_heard_before_delete_is_offered():
    async with tenancy_of(without(ROUTES, metric_labels="real")) as tenancy:
        tenancy.aisix.add_passthrough("staging", "files", key=tenancy.old)
        machine = await tenancy.machine(listen=120)
        record, used_at = await tenancy.begun(machine), 0.0
        while record.waits_for_bot:
            if tenancy.clock.seconds - used_at >= 60:
                used_at = tenancy.clock.seconds
                assert (await tenancy.ask("staging", "gpt-4o", "passthrough/files")).is_success
            record = await machine.notch(record)

    assert record.state is State.BLOCKED
    assert "a passthrough route" in record.stop.sentence


@pytest.mark.parametrize(("switches", "least"), [(without(ROUTES), 120), (Switches(cooldown=0.0), 0)])
async def test_the_old_key_is_listened_to_for_a_while_where_a_list_is_not_shown_and_nowhere_else(switches, least):
    async with tenancy_of(switches) as tenancy:
        record = await tenancy.asked(await tenancy.machine(listen=120))

        assert least <= tenancy.clock.seconds < least + 60
        assert record.state is State.AWAITING_APPROVAL


# --- the rule ---


HERE, THERE = "http://one:9090", "http://two:9090"
IN_STAGING = (Unlisted(kind=ROUTES, environment="stag"),)
ANYWHERE = (Unlisted(kind=BUDGETS),)
ONE = {"stag": Coverage((HERE,))}


def silent(environment: str, *urls: str, **fields: Any) -> tuple[OldKeyUsage, ...]:
    return tuple(OldKeyUsage(url=url, environment=environment, looked_at=NOW, **fields) for url in urls)


def listening(*silences: OldKeyUsage, unlisted: tuple[Unlisted, ...], allowed: tuple[str, ...] = ()) -> Rotation:
    tenant = {"prod": "production", "stag": "staging"}
    plan = Plan(old_key=key(allowed_environments=allowed), models=(affected(),), tenant=tenant, unlisted=unlisted)
    return running(plan=plan, silences=silences)


@pytest.mark.parametrize(
    ("silences", "unlisted", "coverage", "deaf"),
    [
        ((), (), {}, set()),
        ((), IN_STAGING, {"stag": Coverage()}, {"stag"}),
        ((), IN_STAGING, ONE, {"stag"}),
        (silent("stag", HERE), IN_STAGING, ONE, set()),
        (silent("prod", HERE), IN_STAGING, ONE, {"stag"}),
        (silent("stag", HERE), IN_STAGING, {"stag": Coverage((HERE, THERE), 2)}, {"stag"}),
        (silent("stag", HERE), IN_STAGING, {"stag": Coverage((HERE,), 2)}, {"stag"}),
        (silent("stag", HERE, THERE), IN_STAGING, {"stag": Coverage((HERE, THERE), 2)}, set()),
        (silent("stag", HERE, count=1), IN_STAGING, ONE, {"stag"}),
        (silent("stag", HERE, is_deaf=True), IN_STAGING, ONE, {"stag"}),
        (silent("stag", HERE), ANYWHERE, ONE, {"prod"}),
        (silent("stag", HERE) + silent("prod", HERE), ANYWHERE, ONE | {"prod": Coverage((HERE,))}, set()),
    ],
)
def test_what_cannot_be_listed_has_to_be_silent_on_every_replica_there(silences, unlisted, coverage, deaf):
    assert {one.environment for one in uncovered(listening(*silences, unlisted=unlisted), coverage)} == deaf


@pytest.mark.parametrize(("allowed", "deaf"), [((), {"stag"}), (("prod",), set()), (("stag",), {"stag"})])
def test_an_environment_without_a_gateway_matters_where_the_key_is_allowed(allowed, deaf):
    rotation = listening(unlisted=IN_STAGING, allowed=allowed)

    assert {one.environment for one in uncovered(rotation, {})} == deaf
    assert {one.environment for one in uncovered(rotation, {"stag": Coverage()})} == {"stag"}
