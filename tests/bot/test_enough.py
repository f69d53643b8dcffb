"""When a verdict is enough, and where no verdict could ever be."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from pydantic import SecretStr

from bot.aisix.probes import Gateways, GatewaySettings
from bot.rotation.errors import Blocked
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding, was_failing_before
from bot.rotation.proof import is_enough
from bot.steps.refusals import refuse_unverifiable
from bot.steps.world import World
from tests.bot.values import NOW, limits, running

ENOUGH = {Verdict.PROVED, Verdict.LIKELY, Verdict.SKIPPED}


@asynccontextmanager
async def world_of(*environments: str, **given: Any) -> AsyncIterator[World]:
    """A world whose settings have a gateway for some environments."""
    settings = {id_: GatewaySettings(url="http://gateway", caller_key=SecretStr("ck")) for id_ in environments}
    nothing: Any = object()
    async with Gateways(settings, timeout=1, concurrency=1, now=lambda: NOW) as gateways:
        yield World(nothing, gateways, nothing, limits(**given), lambda: NOW)


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize(("require_proof", "enough"), [(False, ENOUGH), (True, {Verdict.PROVED})])
def test_a_verdict_is_enough_where_the_settings_say_so(verdict, require_proof, enough):
    finding = Finding(verdict=Evidence(verdict=verdict, reason="so", at=NOW))

    assert is_enough(finding, require_proof=require_proof) is (verdict in enough)


@pytest.mark.parametrize("unfit", [False, True])
def test_a_model_that_may_answer_at_another_endpoint_is_not_excused(unfit):
    failed = Evidence(verdict=Verdict.REJECTED, reason="so", at=NOW, signature="400 upstream_error", of_upstream=True)

    assert was_failing_before(Finding(baseline=failed, latest=failed.but(unfit=unfit))) is not unfit


async def test_an_environment_without_a_gateway_cannot_be_verified():
    async with world_of("other") as world:
        with pytest.raises(Blocked, match=r"`production` has no gateway in the settings \(AISIX_GATEWAYS\)"):
            refuse_unverifiable(running(), world)


async def test_a_passthrough_route_that_still_holds_the_old_key_is_to_be_moved_by_a_person():
    rotation = running()
    held = rotation.but(plan=rotation.plan.but(routes=("`files` in production",)))
    async with world_of("prod") as world:
        with pytest.raises(Blocked, match="The passthrough route `files` in production still holds the old key"):
            refuse_unverifiable(held, world)
