"""What proves the new secret as a whole, and what an approver may accept instead."""

import pytest

from bot.rotation.actions import Action
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.policy import acceptable_as_a_whole, offered, shown_unproved
from bot.rotation.proof import is_accepted, unproved
from bot.rotation.record import Rotation
from bot.rotation.stops import StopKind
from tests.bot.values import NOW, affected, rotation, stopped

V = Verdict
NO_MODEL = "No model uses this key, so nothing proves the new secret."
FAILED = "No model in `production` answers, neither before nor now, so nothing proves the new secret there."
UNASKED = "No model in `production` is probed, so nothing proves the new secret there."


def seen(verdict: Verdict, **fields) -> Evidence:
    return Evidence(verdict=verdict, reason="so", at=NOW, **fields)


def found(verdict: Verdict, **fields) -> Finding:
    return Finding(moved_at=NOW, latest=seen(verdict), verdict=seen(verdict), **fields)


def failing(**fields) -> Finding:
    """As it failed on the old key."""
    said = seen(V.INCONCLUSIVE, of_upstream=True, signature="404")
    return Finding(baseline=said, moved_at=NOW, latest=said, verdict=said, **fields)


WORD = Acceptance(by="U_APPROVER", at=NOW, reason="asked by hand", of="")


def of(*findings: Finding, environment: str = "prod") -> Rotation:
    models = tuple(affected(f"m{number}", environment) for number, _ in enumerate(findings))
    plan = rotation().plan.but(models=models, environments={environment: "production"} if models else {})
    return stopped(StopKind.UNVERIFIED, findings={f"m{n}": f for n, f in enumerate(findings)}).but(plan=plan)


def at_its_stop(record: Rotation) -> Rotation:
    assert record.stop
    return record.but(stop=record.stop.but(sentence=unproved(record)))


@pytest.mark.parametrize(
    ("findings", "said"),
    [
        ((), NO_MODEL),
        ((failing(),), FAILED),
        ((failing(), found(V.SKIPPED)), FAILED),
        ((found(V.SKIPPED), found(V.SKIPPED)), UNASKED),
        ((found(V.INCONCLUSIVE),), FAILED),
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
    proved, other = of(found(V.PROVED)), affected("other", "stag")
    both = proved.but(
        plan=proved.plan.but(models=(*proved.plan.models, other), environments={"prod": "p", "stag": "s"})
    )

    assert unproved(both.learn({"other": found(V.SKIPPED)})) == (
        "No model in `s` is probed, so nothing proves the new secret there."
    )


@pytest.mark.parametrize("record", [of(), of(failing())], ids=["no model", "failed before"])
def test_where_there_is_no_model_to_name_an_approver_may_accept_the_whole(record):
    assert acceptable_as_a_whole(at_its_stop(record)) == unproved(record)
    assert Action.ACCEPT_UNPROVED in offered(at_its_stop(record))


def test_where_models_can_be_named_they_have_to_be():
    record = at_its_stop(of(found(V.SKIPPED)))

    assert acceptable_as_a_whole(record) == ""
    assert Action.ACCEPT_UNPROVED in offered(record)


def test_another_stop_lets_nobody_accept_the_whole():
    assert acceptable_as_a_whole(of()) == ""
    assert Action.ACCEPT_UNPROVED not in offered(of())


def test_what_is_accepted_is_what_was_said_and_nothing_else():
    accepted = of().but(accepted=WORD.but(of=NO_MODEL))

    assert is_accepted(accepted)
    assert not is_accepted(of(failing()).but(accepted=WORD.but(of=NO_MODEL)))
    assert not is_accepted(of())


def test_the_form_and_the_approval_are_of_what_is_accepted():
    record = at_its_stop(of())

    assert shown_unproved(record) != shown_unproved(of())
    assert record.digest != record.but(accepted=WORD.but(of=NO_MODEL)).digest
    assert record.without_secret().but(accepted=None) == record.but(accepted=WORD).without_secret()
