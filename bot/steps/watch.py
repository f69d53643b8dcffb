"""The watch after the delete: a few live requests and the counters, at growing intervals.

Nothing can be taken back any more. What goes wrong is told, with what still helps.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from bot.errors import ApiError
from bot.evidence import Evidence
from bot.plan import users_of
from bot.rotation import Rotation, Trouble, was_failing_before
from bot.steps.common import Done, Outcome, Wait, World, noted, probe_each
from bot.steps.sight import Sights, look, rebased
from bot.steps.throwaways import likenesses

FIRST = timedelta(seconds=5)
LONGEST = timedelta(minutes=10)

MANY = 5
"""Failed requests of callers between two looks, from which on they are told if they are more than the good ones."""


async def watch(rotation: Rotation, world: World) -> Outcome:
    """Look at growing intervals, for the last time when the watch is over."""
    now = world.now()
    until = rotation.watch_until or (rotation.deleted_at or now) + world.limits.watch
    if not world.limits.watch:
        return Done(rotation)
    looked = (await _looked(rotation, world)).but(watch_until=until, watched=rotation.watched + 1)
    if now >= until:
        return Done(looked)
    return Wait(looked, "watching", min(FIRST * 2**rotation.watched, LONGEST, until - now))


async def _looked(rotation: Rotation, world: World) -> Rotation:
    """Look once at everything, and note what has gone wrong since, or is well again."""
    asked, answers = await _answers(rotation, world)
    seen = await look(asked, rotation.plan.environments, world)
    wrong = dict(_wrong_answers(asked, answers))
    wrong |= dict(_wrong_counters(asked, seen))
    wrong |= {name: f"{name} refers to the deleted key" for name in await _orphans(rotation, world)}
    return _told(rebased(asked, seen), wrong, world.now())


async def _orphans(rotation: Rotation, world: World) -> tuple[str, ...]:
    """Name what refers to the deleted key; a control plane that does not answer now is looked at next time."""
    try:
        return users_of(await world.control_plane.inventory(), rotation.plan.old_key)
    except ApiError:
        return ()


async def _answers(rotation: Rotation, world: World) -> tuple[Rotation, dict[str, Evidence]]:
    """Ask one model for each environment, endpoint and upstream model; what fails, once more."""
    samples = likenesses(rotation, world)
    answers = await probe_each(rotation, samples, world)
    rotation = noted(rotation, answers, world.now())
    failing = [model for model in samples if model.id in answers and not answers[model.id].passed]
    again = await probe_each(rotation, failing, world)
    return noted(rotation, again, world.now()), answers | again


def _wrong_answers(rotation: Rotation, answers: dict[str, Evidence]) -> Iterator[tuple[str, str]]:
    for model in rotation.plan.models:
        evidence = answers.get(model.id)
        if evidence and not evidence.passed and not was_failing_before(rotation.finding(model)):
            yield model.label, f"{model.label} does not answer: {evidence.reason}"


def _wrong_counters(rotation: Rotation, seen: Sights) -> Iterator[tuple[str, str]]:
    """Yield what the counters show since the look before: the deleted key in use, and callers that fail."""
    for environment, sights in seen.items():
        for sight in sights:
            if sight.since.old:
                said = f"`{sight.now.name}` still serves with the deleted key: do not revoke it at the provider yet"
                yield f"`{sight.now.name}`", said
        for model in (m for m in rotation.plan.models if m.environment == environment):
            served = [sight.since.served(model.id) for sight in sights]
            answered, failed = sum(s.new for s in served), sum(s.failed for s in served)
            if failed >= MANY and failed > answered:
                yield f"what callers ask of {model.label}", f"{failed:,} requests of callers to {model.label} failed"


def _told(rotation: Rotation, wrong: dict[str, str], now: datetime) -> Rotation:
    """Add what is newly wrong, and what is over."""
    standing = {trouble.about for trouble in under_way(rotation)}
    new = [Trouble(at=now, about=about, sentence=said) for about, said in wrong.items() if about not in standing]
    over = [Trouble(at=now, about=about, sentence=f"{about} is well again", over=True)
            for about in sorted(standing - wrong.keys())]  # fmt: skip
    return rotation.but(troubles=(*rotation.troubles, *new, *over))


def under_way(rotation: Rotation) -> list[Trouble]:
    """Return the troubles that are not over."""
    last = {trouble.about: trouble for trouble in rotation.troubles}
    return [trouble for trouble in last.values() if not trouble.over]
