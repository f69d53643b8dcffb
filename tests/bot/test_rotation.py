"""The record of a rotation: its table of states, its verbs, and its way through JSON."""

import pytest

from bot.rotation.counted import Tally
from bot.rotation.errors import WrongState
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding, Throwaway
from bot.rotation.parts import Asides
from bot.rotation.plan import Dependent
from bot.rotation.record import OF_ONE_SECRET, Rotation
from bot.rotation.states import MEANING, TERMINAL, TRANSITIONS, State, StepName
from bot.service.resuming import tried_again
from bot.steps.own_keys import the_replacement
from tests.bot.values import NOW, SOAKED, affected, approval, key, rotation, running, stopped


def test_every_state_is_reached_from_the_first_one_and_reaches_an_end():
    def reached(start: State) -> set[State]:
        found, frontier = {start}, [start]
        while frontier:
            frontier = [after for state in frontier for after in TRANSITIONS[state] if after not in found]
            found |= set(frontier)
        return found

    assert reached(State.AWAITING_SECRET) == set(State)
    assert all(reached(state) & TERMINAL for state in State)
    assert {state for state in State if State.COMPLETED in TRANSITIONS[state]} == {State.RUNNING}


@pytest.mark.parametrize("before", State)
def test_a_rotation_moves_where_the_table_lets_it_and_nowhere_else(before):
    for after in State:
        if after in TRANSITIONS[before]:
            assert rotation(before).to(after).state is after
        else:
            with pytest.raises(WrongState, match=MEANING[before]):
                rotation(before).to(after)


def test_a_changed_model_keeps_only_the_time_of_its_move():
    seen = Evidence(verdict=Verdict.PROVED, reason="answered", at=NOW)
    known = Finding(baseline=seen, moved_at=NOW, latest=seen, verdict=seen, passes=3)
    models = tuple(affected(id_) for id_ in ("m1", "m2", "m3"))
    record = running(findings={"m1": known, "m2": known, "m3": known}).but(plan=rotation().plan.but(models=models))
    after = record.with_plan(record.plan.but(models=(affected("m1", alias="alias-m2"), affected("m2"))))

    assert after.findings == {"m1": Finding(moved_at=NOW), "m2": known}


def test_what_an_older_record_did_not_note_of_a_model_is_not_part_of_what_was_shown():
    record = running()
    noted = record.but(plan=record.plan.but(models=(affected(provider="openai"),)))

    assert record.plan.models[0].provider == ""
    assert noted.digest != record.digest


@pytest.mark.parametrize(
    ("resume", "kept"),
    [
        ("recheck", "answers throwaways barriers"), ("verify", "throwaways barriers"), ("project", "throwaways"),
        ("cut-over", "throwaways"), ("rehearse", ""),
    ],
)  # fmt: skip
def test_what_is_done_again_after_a_stop_is_done_without_what_it_found_before(resume, kept):
    made = (Throwaway(name="keyturn-rabc123-0", environment="prod", sample="m1"),)
    before = stopped(findings={"m1": Finding(moved_at=NOW, passes=3)}, throwaways=made, barriers=made, done=SOAKED)
    after = tried_again(before.but(stop=before.stop.but(resume=StepName(resume))))

    left = {"answers": after.findings["m1"].passes, "throwaways": after.throwaways, "barriers": after.barriers}
    assert " ".join(name for name, what in left.items() if what) == kept
    assert after.findings["m1"].moved_at == NOW


def judged(signature: str, verdict: Verdict = Verdict.INCONCLUSIVE, accepted: Acceptance | None = None) -> Rotation:
    said = Evidence(verdict=verdict, reason="so", at=NOW, signature=signature)
    return running(findings={"m1": Finding(moved_at=NOW, latest=said, verdict=said, accepted=accepted)})


def test_whatever_an_approver_is_shown_otherwise_has_another_digest_and_the_rest_has_not():
    record, word = judged(""), Acceptance(by="U_APPROVER", at=NOW, reason="by hand")
    plans = (
        {"old_key": key("pk_2")},
        {"models": (affected(alias="other"),)},
        {"routes": ("files",)},
        {"dependents": (Dependent(alias="router", environment_name="production", role="target"),)},
    )
    others = (
        *(record.but(plan=record.plan.but(**fields)) for fields in plans),
        record.but(replacement=record.replacement.but(key_id="pk_2")),
        record.but(accepted=word.but(of="Nothing proves it.")),
        judged("", Verdict.PROVED),
        *(judged(of, accepted=word.but(of=of)) for of in ("", "429", "500")),
    )

    assert len({record.seen, *(other.seen for other in others)}) == 1 + len(others)
    assert record.digest == record.but(version=9, note="n", approvals=(approval(),)).digest


def test_a_move_forgets_what_belonged_to_the_state_before():
    before = rotation(State.RUNNING, note="n", retry_at=NOW, step_since=NOW, trouble_since=NOW, look="a look")
    after = before.to(State.AWAITING_APPROVAL)

    assert (after.note, after.retry_at, after.step_since, after.trouble_since) == (None, None, None, None)
    assert (after.retry_in, after.look) == (None, "")


def test_only_a_blocked_rotation_keeps_its_stop():
    assert stopped().to(State.RUNNING).stop is None
    assert rotation(State.RUNNING, stop=stopped().stop).to(State.BLOCKED).stop is not None


def test_a_rotation_knows_its_keys_by_id_and_by_a_name_it_asked_for():
    record = rotation(made=("pk_1",), names=("asked",))
    keys = [key("pk_1", "x"), key("pk_2", "asked"), key("pk_3", "OpenAI production"), key("asked", "pk_1")]

    assert [k.id for k in record.own_keys(keys)] == ["pk_1", "pk_2"]


@pytest.mark.parametrize(("id_", "found"), [("pk_new", "pk_new"), ("pk_gone", None), (None, "pk_copy")])
def test_the_replacement_is_known_by_its_id_and_by_its_name_only_until_that_is_known(id_, found):
    record = running()
    wanted = record.replacement.but(key_id=id_)
    keys = [key("pk_copy", wanted.name), key("pk_new", wanted.name)]
    replacement = the_replacement(record.but(replacement=wanted), keys)

    assert (replacement and replacement.id) == found


def test_a_field_of_a_newer_version_is_ignored():
    stored = rotation().model_dump(mode="json") | {"tomorrow": 1}

    assert Rotation.model_validate(stored) == rotation()


KEPT = {
    "schema_version", "id", "version", "write", "state", "track", "team", "channel", "requested_by", "requested_at",
    "plan", "why", "ticket",
    "attempt", "names", "made", "throwaways_used", "policy", "approvals_required", "self_approval", "stop", "note",
    "retry_at", "retry_in", "step_since", "look", "look_try", "trouble_since", "stalled_since", "started_at", "voids",
    "secret_asked_at", "delete_asked_at", "delete_try", "delete_repeated", "delete_sent_at", "delete_granted",
    "deleted_at", "audit_head",
    "watch_until", "watched", "blind", "cached",
    "troubles", "ended_at", "ended_by", "adopted_at", "callers", "tests", "orphaned",
    "namespace", "carried_to", "unoffered", "batch", "exposed", "review", "zone",
    "account", "abilities", "mints", *Asides.model_fields,
}  # fmt: skip
"""What a rotation knows whichever secret is given: who asked, for what, what was made, and what cannot be undone."""


def test_every_field_says_whether_another_secret_resets_it():
    assert KEPT | set(OF_ONE_SECRET) == set(Rotation.model_fields)
    assert not KEPT & set(OF_ONE_SECRET)


def test_a_withdrawn_secret_leaves_nothing_in_the_record():
    learned = running(wave=3, rehearsal="failed", findings={"m1": Finding(passes=3)}, tally=Tally(since=NOW))

    assert learned.without_secret() == rotation(State.RUNNING, attempt=1)
