"""The watch after the delete: test requests and counters, at growing intervals.

The delete can't be undone. Keyturn reports what goes wrong, with what still helps.
"""

from datetime import datetime, timedelta

from bot.rotation.attention import open_troubles
from bot.rotation.counted import most_fail
from bot.rotation.errors import ApiError
from bot.rotation.evidence import Evidence
from bot.rotation.finding import was_failing_before
from bot.rotation.parts import REFERS
from bot.rotation.plan import AffectedModel, users_of
from bot.rotation.record import Rotation, Trouble
from bot.rotation.replica import Replica, Served
from bot.rotation.weighing import Window
from bot.steps.counters import Windows, look, rebased, users_heard, watched_environments
from bot.steps.outcomes import Done, Outcome, Wait
from bot.steps.probing import noted, probe_each
from bot.steps.throwaways import likenesses, without_throwaways
from bot.steps.world import World

FIRST = timedelta(seconds=5)

LONGEST = timedelta(minutes=10)

DOUBLINGS = 7
"""After this many doublings, the pause exceeds the longest."""

MOST_TOLD = 200
"""From this number of troubles in one watch on, only the last beginning and end of each is kept."""


async def watch(rotation: Rotation, world: World) -> Outcome:
    """Look at growing intervals, one last time when the watch is over."""
    now = world.now()
    until = rotation.watch_until or (rotation.deleted_at or now) + world.limits.watch
    if not world.limits.watch:
        return Done(rotation)
    looked = (await _looked(rotation, world)).but(watch_until=until, watched=rotation.watched + 1)
    if now >= until:
        return Done(looked)
    pause = FIRST * 2 ** min(rotation.watched, DOUBLINGS)
    return Wait(looked, "watching", min(pause, LONGEST, until - now))


async def _looked(rotation: Rotation, world: World) -> Rotation:
    """Check everything once, and record what has gone wrong or recovered since."""
    asked, answers = await _answers(rotation, world)
    seen = await look(asked, watched_environments(rotation), world)
    asked = asked if rotation.watched else asked.but(orphaned=_orphaned_before(seen))
    orphans = await _orphans(rotation, world)
    found = {**_answered(asked, answers), **_counted(asked, seen), **(orphans or {})}
    cached = tuple(model.label for model in rotation.plan.models if model.id in answers and answers[model.id].cached)
    is_blind = bool(cached) or orphans is None or _lacks_counters(asked, seen)
    asked = asked.but(blind=asked.blind + is_blind, cached=cached)
    return _told(rebased(asked, seen), found, world.now(), unseen=REFERS if orphans is None else "")


def _lacks_counters(rotation: Rotation, seen: Windows) -> bool:
    """Return whether a replica whose counters told of the old key before shows none now."""
    readable = {window.now.url for windows in seen.values() for window in windows if window.now.counts is not None}
    return any(silence.url not in readable for silence in rotation.silences)


def _orphaned_before(seen: Windows) -> tuple[str, ...]:
    """Return what was refused for an unknown key even before the delete: the deleted key is not the cause."""
    looks = [window.before for windows in seen.values() for window in windows if window.before]
    return tuple(sorted({name for look in looks for name in look.orphaned}))


async def _orphans(rotation: Rotation, world: World) -> dict[str, str] | None:
    """Return what refers to the deleted key; None if AISIX is not answering.

    Also removes a throw-away model that was created too late for an earlier step to see.
    """
    try:
        _, inventory = await without_throwaways(rotation, await world.control_plane.inventory(), world)
        users = users_of(inventory, rotation.plan.old_key)
    except ApiError:
        return None
    still = {t.about: "" for t in open_troubles(rotation) if t.sentence.endswith(REFERS)}
    return still | {name: f"{name}{REFERS}" for name in users}


async def _answers(rotation: Rotation, world: World) -> tuple[Rotation, dict[str, Evidence]]:
    """Probe one model for each environment, endpoint and upstream model; probe those that fail once more.

    A cache's second answer does not take back that the model itself failed at first.
    """
    samples = likenesses(rotation, world)
    answers = await probe_each(rotation, samples, world)
    rotation = noted(rotation, answers, world.now())
    failing = [model for model in samples if model.id in answers and not answers[model.id].passed]
    again = await probe_each(rotation, failing, world)
    told = {id_: answer for id_, answer in again.items() if not answer.cached or answers[id_].cached}
    return noted(rotation, again, world.now()), answers | told


def _answered(rotation: Rotation, answers: dict[str, Evidence]) -> dict[str, str]:
    """Say for each model that answered what is wrong with it, empty if it is well; a cache's answer is not its own."""
    asked = ((model, answers[model.id]) for model in rotation.plan.models if model.id in answers)
    return {model.label: _fault(rotation, model, evidence) for model, evidence in asked if not evidence.cached}


def _fault(rotation: Rotation, model: AffectedModel, evidence: Evidence) -> str:
    finding = rotation.finding(model)
    accepted = finding.accepted is not None and finding.accepted.of == evidence.signature
    fine = evidence.passed or accepted or was_failing_before(finding)
    return "" if fine else f"{model.label} does not answer: {evidence.reason}"


def _counted(rotation: Rotation, seen: Windows) -> dict[str, str]:
    """Say what the counters show since the previous look: uses of the deleted key, and callers that fail."""
    found: dict[str, str] = {}
    for environment, windows in seen.items():
        telling = [window for window in windows if window.since.counts is not None]
        for window in telling:
            found[f"`{window.now.name}`"] = _used(window, rotation)
        for model in (m for m in rotation.plan.models if m.environment == environment and telling):
            failed = sum(window.since.served(model.id).failed for window in telling)
            answered = sum(_answers_of_upstream(window.since, model.id) for window in telling)
            many = most_fail(answered, failed)
            said = f"{failed:,} requests of callers to {model.label} failed" if many else ""
            if many or answered > failed:  # else nothing shows how they fare
                found[f"what callers ask of {model.label}"] = said
    return found


def _answers_of_upstream(since: Replica, model_id: str) -> int:
    """Count callers' answered requests; those that a cache answered say nothing, where the counters tell."""
    served, own = since.served(model_id), since.asked(model_id) or Served()
    return max(0, (served.reached if since.hears_upstream else served.new) - own.new)


def _used(window: Window, rotation: Rotation) -> str:
    """Say that a replica still uses the deleted key, or refuses requests for lack of it; empty if neither."""
    models, name = rotation.plan.models, f"`{window.now.name}`"
    if window.since.old:
        by = ", ".join(users_heard(window.since.heard, models))
        if rotation.exposed:  # waiting helps nobody but those who have it
            return f"{name} still serves with the deleted key, which is exposed ({by})"
        return f"{name} still serves with the deleted key ({by}): do not revoke it at the provider yet"
    lost = {what: count for what, count in window.since.orphaned.items() if what not in rotation.orphaned}
    if not lost:
        return ""
    by = ", ".join(users_heard(lost, models))
    return f"{name} refused {sum(lost.values()):,} requests because their key is gone ({by}): point it at the new key"


def _told(rotation: Rotation, found: dict[str, str], now: datetime, *, unseen: str) -> Rotation:
    """Add new troubles and recoveries; leave out what this look could not see."""
    still_open = {t.about for t in open_troubles(rotation) if not (unseen and t.sentence.endswith(unseen))}
    new = [Trouble(at=now, about=about, sentence=said) for about, said in found.items() if said]
    new = [trouble for trouble in new if trouble.about not in {t.about for t in open_troubles(rotation)}]
    well = [about for about in sorted(still_open) if found.get(about) == ""]
    over = [Trouble(at=now, about=about, sentence=f"{about} is well again", over=True) for about in well]
    return rotation.but(troubles=_fewer((*rotation.troubles, *new, *over)))


def _fewer(troubles: tuple[Trouble, ...]) -> tuple[Trouble, ...]:
    """Leave out what came before, if there are too many; never a trouble that is open, or the card would be green."""
    if len(troubles) <= MOST_TOLD:
        return troubles
    last = {(trouble.about, trouble.over): place for place, trouble in enumerate(troubles)}
    return tuple(troubles[place] for place in sorted(last.values()))
