"""When a verdict is enough, what proves the new secret as a whole, and what an approver may accept instead."""

from typing import Any

import pytest
from pydantic import SecretStr

from bot.aisix.probes import Gateways, GatewaySettings
from bot.rotation.actions import Action
from bot.rotation.errors import Blocked
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding, was_failing_before
from bot.rotation.policy import acceptable_as_a_whole, offered, shown_unproved
from bot.rotation.proof import is_accepted, is_enough, unproved
from bot.rotation.record import Rotation
from bot.rotation.stops import StopKind
from bot.steps.refusals import refuse_unverifiable
from bot.steps.world import World
from tests.bot.values import NOW, affected, limits, rotation, running, stopped

V = Verdict


# --- one model ---


@pytest.mark.parametrize("verdict", Verdict)
@pytest.mark.parametrize(("require_proof", "enough"), [(False, {V.PROVED, V.LIKELY, V.SKIPPED}), (True, {V.PROVED})])
def test_a_verdict_is_enough_where_the_settings_say_so(verdict, require_proof, enough):
    finding = Finding(verdict=Evidence(verdict=verdict, reason="so", at=NOW))

    assert is_enough(finding, require_proof=require_proof) is (verdict in enough)


@pytest.mark.parametrize("unfit", [False, True])
def test_a_model_that_may_answer_at_another_endpoint_is_not_excused(unfit):
    failed = Evidence(verdict=V.REJECTED, reason="so", at=NOW, signature="400 upstream_error", of_upstream=True)

    assert was_failing_before(Finding(baseline=failed, latest=failed.but(unfit=unfit))) is not unfit


@pytest.mark.parametrize(
    ("environment", "routes", "said"),
    [
        ("other", (), r"`production` has no gateway in the settings \(AISIX_GATEWAYS\)"),
        ("prod", ("`files` in production",), "The passthrough route `files` in production still holds the old key"),
    ],
)
async def test_what_cannot_be_verified_or_moved_by_the_bot_stops_it(environment, routes, said):
    nothing: Any = object()
    settings = {environment: GatewaySettings(url="http://gateway", caller_key=SecretStr("ck"))}
    record = running()
    async with Gateways(settings, timeout=1, concurrency=1, now=lambda: NOW) as gateways:
        with pytest.raises(Blocked, match=said):
            refuse_unverifiable(
                record.but(plan=record.plan.but(routes=routes)),
                World(nothing, gateways, nothing, limits(), lambda: NOW),
            )


# --- a rotation as a whole ---


def found(verdict: Verdict, **fields) -> Finding:
    seen = Evidence(verdict=verdict, reason="so", at=NOW)
    return Finding(moved_at=NOW, latest=seen, verdict=seen, **fields)


def failing(**fields) -> Finding:
    """As it failed on the old key."""
    said = Evidence(verdict=V.INCONCLUSIVE, reason="so", at=NOW, of_upstream=True, signature="404")
    return Finding(baseline=said, moved_at=NOW, latest=said, verdict=said, **fields)


NO_MODEL = "No model uses this key, so nothing proves the new secret."
FAILED = "No model in `production` answers, neither before nor now, so nothing proves the new secret there."
UNASKED = "No model in `production` is probed, so nothing proves the new secret there."
WORD = Acceptance(by="U_APPROVER", at=NOW, reason="asked by hand", of="")
OF_NONE = WORD.but(of=NO_MODEL)


def of(*findings: Finding) -> Rotation:
    models = tuple(affected(f"m{number}") for number, _ in enumerate(findings))
    plan = rotation().plan.but(models=models, environments={"prod": "production"} if models else {})
    return stopped(StopKind.UNVERIFIED, findings={f"m{n}": f for n, f in enumerate(findings)}).but(plan=plan)


def at_its_stop(record: Rotation) -> Rotation:
    return record.but(stop=record.stop.but(sentence=unproved(record)))


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ((), NO_MODEL),
        ((failing(), found(V.SKIPPED)), FAILED),
        ((found(V.SKIPPED), found(V.SKIPPED)), UNASKED),
        ((Finding(),), FAILED),
        ((failing(), found(V.PROVED)), ""),
        ((found(V.SKIPPED), found(V.LIKELY)), ""),
        ((found(V.SKIPPED, accepted=WORD),), ""),
        ((failing(accepted=WORD),), FAILED),
    ],
)
def test_where_no_model_works_and_none_is_accepted_nothing_proves_the_new_secret(findings, said):
    assert unproved(of(*findings)) == said


def test_a_proof_in_one_environment_is_none_for_another():
    proved = of(found(V.PROVED))
    models, environments = (*proved.plan.models, affected("other", "stag")), {"prod": "p", "stag": "s"}
    both = proved.but(plan=proved.plan.but(models=models, environments=environments))

    assert unproved(both.learn({"other": found(V.SKIPPED)})) == UNASKED.replace("production", "s")


@pytest.mark.parametrize(
    ("record", "whole", "is_offered"),
    [
        (at_its_stop(of()), NO_MODEL, True),
        (at_its_stop(of(failing())), FAILED, True),
        (at_its_stop(of(found(V.SKIPPED))), "", True),
        (of(), "", False),
    ],
    ids=["no model", "failed before", "models that can be named have to be", "another stop"],
)
def test_where_there_is_no_model_to_name_an_approver_may_accept_the_whole(record, whole, is_offered):
    assert acceptable_as_a_whole(record) == whole
    assert (Action.ACCEPT_UNPROVED in offered(record)) is is_offered


def test_what_is_accepted_is_what_was_said_and_shown_and_nothing_else():
    record = at_its_stop(of())

    assert is_accepted(record.but(accepted=OF_NONE))
    assert not is_accepted(of(failing()).but(accepted=OF_NONE))
    assert not is_accepted(record)
    assert shown_unproved(record) != shown_unproved(of())
    assert record.digest != record.but(accepted=OF_NONE).digest
    assert record.without_secret().but(accepted=None) == record.but(accepted=WORD).without_secret()
