"""In which order models are moved."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.rotation.finding import Finding
from bot.rotation.plan import Plan
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.rotation.waves import in_play, waves
from sandbox.aisix import Switches
from tests.bot.values import affected, key, running
from tests.support.in_memory import tenancy_of

NAMES = {"e1": "production", "e2": "staging", "e3": "canary"}


def planned(models: list[tuple[str, str]], traffic: dict[str, int] | None = None, **fields: object) -> Rotation:
    """A rotation of models given as (alias, environment), with what is known of their traffic."""
    made = tuple(affected(f"m-{alias}", env, alias=alias, environment_name=NAMES[env]) for alias, env in models)
    plan = Plan(old_key=key(), models=made, environments={env: NAMES[env] for _, env in models})
    findings = {f"m-{alias}": Finding(traffic=count) for alias, count in (traffic or {}).items()}
    return running(plan=plan, findings=findings, **fields)


def aliases(rotation: Rotation, order: tuple[str, ...] = (), sizes: tuple[int, ...] = (1,)) -> list[list[str]]:
    return [[model.alias for model in wave] for wave in waves(rotation, order, sizes)]


def test_sizes_are_those_of_the_first_waves_and_what_is_left_comes_last():
    models = [(letter, "e1") for letter in "abcdefg"]

    assert aliases(planned(models)) == [["a"], list("bcdefg")]
    assert aliases(planned(models), sizes=(1, 3)) == [["a"], ["b", "c", "d"], ["e", "f", "g"]]
    assert aliases(planned(models), sizes=()) == [list("abcdefg")]
    assert aliases(planned(models[:2]), sizes=(1, 3)) == [["a"], ["b"]]


def test_environments_go_in_the_order_of_the_settings_by_name_or_id_and_the_others_after_them_by_name():
    rotation = planned([("p", "e1"), ("s", "e2"), ("c", "e3")])

    assert aliases(rotation) == [["c"], ["p"], ["s"]]
    assert aliases(rotation, order=("staging", "e1")) == [["s"], ["p"], ["c"]]
    assert aliases(rotation, order=("nowhere", "production")) == [["p"], ["c"], ["s"]]


def test_the_least_asked_model_goes_first_and_one_of_which_nothing_is_known_last():
    rotation = planned([("a", "e1"), ("b", "e1"), ("c", "e1")], traffic={"a": 900, "c": 2})

    assert aliases(rotation, sizes=(1, 1)) == [["c"], ["a"], ["b"]]


def test_where_nothing_was_rehearsed_the_first_wave_is_one_model_whatever_the_settings_say():
    rotation = planned([("a", "e1"), ("b", "e1")], unrehearsed="AISIX refuses to create models")

    assert aliases(rotation, sizes=()) == [["a"], ["b"]]


def test_the_models_in_play_are_those_of_the_wave_in_hand_and_of_all_before_it():
    rotation = planned([("a", "e1"), ("b", "e1"), ("s", "e2")])

    played = [[m.alias for m in in_play(rotation.but(wave=n), (), (1,))] for n in range(4)]
    assert played == [["a"], ["a", "b"], ["a", "b", "s"], ["a", "b", "s"]]


@given(
    st.lists(st.sampled_from(sorted(NAMES)), max_size=12),
    st.lists(st.sampled_from(sorted({*NAMES, *NAMES.values()})), max_size=3),
    st.lists(st.integers(1, 5), max_size=3),
    st.dictionaries(st.integers(0, 11).map(str), st.integers(0, 9)),
)
def test_every_model_is_in_one_wave_with_models_of_its_environment_only(places, order, sizes, traffic):
    rotation = planned([(str(n), env) for n, env in enumerate(places)])
    rotation = rotation.learn({f"m-{alias}": Finding(traffic=count) for alias, count in traffic.items()})
    made = waves(rotation, order, sizes)

    assert sorted(m.id for wave in made for m in wave) == sorted(m.id for m in rotation.plan.models)
    assert all(len({m.environment for m in wave}) == 1 for wave in made)
    changes = [wave[0].environment for wave in made]
    assert changes == sorted(changes, key=changes.index), "one environment after the other"


async def test_a_model_that_other_settings_bring_into_the_wave_is_moved_before_it_is_verified():
    """Where no status address tells, it would answer as well: on the old key."""
    async with tenancy_of(Switches(cooldown=0.0)) as tenancy:
        tenancy.aisix.remove(tenancy.staged)
        tenancy.aisix.add_model("production", "chat-small", key=tenancy.old, upstream="gpt-4o-mini")
        before = await tenancy.machine(waves=(1,))
        record = await before.until(await tenancy.begun(before), lambda r: "project" in r.done)
        after = await tenancy.machine(waves=())
        record = await after.until(record, lambda r: r.state is State.AWAITING_APPROVAL)

    assert len(record.moved) == len(record.plan.models) == 2


@pytest.mark.whole
async def test_where_the_first_environment_does_not_verify_the_later_ones_are_never_touched(tenancy):
    machine = await tenancy.machine(environment_order=("staging", "production"), projection=5, verify=5)
    lagging = tenancy.aisix.replicas("staging")[0]
    tenancy.aisix.faults.before("PATCH", "/models/", lambda: tenancy.wire.behind.add(lagging))
    record = await machine.ended(await tenancy.begun(machine))

    assert record.stop.headline == "the gateway has not taken the change"
    assert [model.environment_name for model in record.moved] == ["staging"]
    assert sum("PATCH" in asked for asked in tenancy.happened) == 1


@pytest.mark.whole
async def test_a_replacement_is_allowed_wherever_it_is_needed_before_a_model_is_moved(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    tenancy.aisix.edit(tenancy.new, allowed_environments=[tenancy.chat.environment_id], settled=True)
    await machine.until(record, lambda r: "replace" in r.done)

    assert {tenancy.chat.environment_id, tenancy.staged.environment_id} <= {*tenancy.new.allowed_environments}


@pytest.mark.whole
async def test_a_model_cannot_go_back_to_where_the_old_key_is_not_allowed_and_that_is_said(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    tenancy.aisix.edit(tenancy.old, allowed_environments=[tenancy.chat.environment_id], settled=True)
    record = await machine.ended(record.but(track=Track.BACK, done=()).to(State.ROLLING_BACK))
    assert record.stop.headline == "a model could not be moved"
    assert "`chat-large` in staging" in record.stop.sentence
    assert "is not allowed there: allow it in AISIX, then try again" in record.stop.sentence

    tenancy.aisix.edit(tenancy.old, allowed_environments=[*tenancy.aisix.store.environments], settled=True)
    record = await machine.ended(record.to(State.ROLLING_BACK))

    assert record.state is State.ROLLED_BACK


@pytest.mark.whole
async def test_the_way_back_leaves_alone_what_somebody_else_has_changed(tenancy):
    machine = await tenancy.machine()
    record = await tenancy.asked(machine)
    other = tenancy.aisix.add_key("Other key", secret="sk-other-0123456789abc")
    tenancy.aisix.edit(tenancy.staged, key=other)
    late = tenancy.aisix.add_model("production", "late", key=tenancy.new, upstream="gpt-4o")
    tenancy.clock.seconds += 60
    asked, record = record, await machine.ended(record.but(track=Track.BACK, done=()).to(State.ROLLING_BACK))

    assert record.state is State.ROLLED_BACK
    assert [record.finding(m).moved_at for m in record.moved] == [asked.finding(m).moved_at for m in asked.moved]
    on = {model.id: model.provider_key_id for model in tenancy.aisix.models.values()}
    assert on == {tenancy.chat.id: tenancy.old.id, tenancy.staged.id: other.id, late.id: tenancy.new.id}
    assert tenancy.new.id in tenancy.aisix.provider_keys

    said = " ".join(record.left_alone)
    assert "`chat-large` in staging uses a key that this rotation does not know; Keyturn left it alone." in said
    assert "`late` in production uses it." in said


@pytest.mark.whole
@pytest.mark.parametrize("is_known", [False, True])
async def test_a_replacement_that_is_not_there_is_asked_for_once_more_or_missed(tenancy, is_known):
    machine = await tenancy.machine()
    record = await tenancy.begun(machine)
    tenancy.aisix.remove(tenancy.new, settled=True)
    wanted = record.replacement.but(key_id=record.replacement.key_id if is_known else None)
    record = await machine.until(record.but(replacement=wanted), lambda r: r.state is not State.RUNNING)

    assert record.state is (State.BLOCKED if is_known else State.AWAITING_SECRET)
    assert is_known or "give it once more" in record.note
