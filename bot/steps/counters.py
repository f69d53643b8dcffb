"""Reads the replicas, and what their counters show: what callers met, and whether the old key is still used."""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Iterator, Mapping
from typing import TypeVar

from bot.rotation.counted import Ledger, OldKeyUsage, Tally, met, summed
from bot.rotation.phrases import MOST_NAMED
from bot.rotation.plan import AffectedModel
from bot.rotation.ports import Asked, Keys
from bot.rotation.record import Rotation
from bot.rotation.replica import OTHERS, PASSTHROUGH, Replica, Served
from bot.rotation.series import extended
from bot.rotation.weighing import Window
from bot.steps.throwaways import prefix
from bot.steps.world import World

T = TypeVar("T")
Windows = Mapping[str, tuple[Window, ...]]
"""By environment, one snapshot of each status address, next to the snapshot from which its counters count."""


READINGS = 3
"""How often a page that showed counters is read before it is believed to show none."""


async def look(rotation: Rotation, environments: Iterable[str], world: World) -> Windows:
    """Read every replica of *environments*; read those again where a page fails that showed counters before."""
    seen: dict[str, tuple[Window, ...]] = {}
    left = [environment for environment in environments if world.status.addresses(environment)]
    for _ in range(READINGS):
        pages = await asyncio.gather(*(world.status.look(env, _asked(rotation, env)) for env in left))
        fresh = {env: _windows(rotation, env, now) for env, now in zip(left, pages, strict=True)}
        seen |= {env: _brightest(seen.get(env, ()), windows) for env, windows in fresh.items()}
        left = [environment for environment in left if any(map(_is_dark, seen[environment]))]
        if not left:
            break
    return seen


def _brightest(before: Iterable[Window], now: Iterable[Window]) -> tuple[Window, ...]:
    """Return the windows of *now*, and of *before* those that showed counters: a page fails by itself."""
    shown = {window.now.url: window for window in before if not _is_dark(window)}
    return tuple(shown.get(window.now.url, window) for window in now)


def _is_dark(window: Window) -> bool:
    return window.now.counts is None and window.before is not None and window.before.counts is not None


async def checking_addresses(work: Awaitable[T], environments: Iterable[str], world: World) -> T:
    """Do *work*, and meanwhile check whether each status address shows one replica: the next look is then faster."""
    done, _ = await asyncio.gather(work, world.status.watch(environments))
    return done


def watched_environments(rotation: Rotation) -> tuple[str, ...]:
    """Return the environments whose use of the old key counts: those of its models, and those with unreadable lists."""
    plan = rotation.plan
    return tuple(dict.fromkeys((*plan.environments, *(e for e in plan.tenant if plan.unlisted_in(e)))))


def _windows(rotation: Rotation, environment: str, seen: Iterable[Replica]) -> tuple[Window, ...]:
    before = rotation.looks.get(environment, {})
    return tuple(Window(before=before.get(replica.url), now=replica) for replica in seen)


def _asked(rotation: Rotation, environment: str) -> Asked:
    old, new = rotation.plan.old_key, rotation.replacement
    named = {new.key_id, new.name} if new else set()
    return Asked(
        keys=Keys(frozenset({old.id, old.display_name}), frozenset(filter(None, named))),
        models=rotation.plan.models,
        ids=(*filter(None, [rotation.replacement_id]), *(model.id for model in rotation.plan.models)),
        throwaways=prefix(rotation),
        callers=rotation.callers.get(environment, ()),
        aliases=tuple(dependent.alias for dependent in rotation.plan.dependents),
    )


def rebased(rotation: Rotation, seen: Windows) -> Rotation:
    """Reset the counts of the environments in *seen* to these snapshots, and those of our test requests too."""
    counted = noticed(rotation, seen)
    looks = {environment: {window.now.url: window.now for window in windows} for environment, windows in seen.items()}
    ledgers = {e: Ledger(then=ledger.now, now=ledger.now) for e, ledger in counted.ledgers.items() if e in seen}
    fresh = tuple(s.but(count=0) if s.environment in seen else s for s in counted.silences)
    here = {m.id for m in rotation.plan.models if m.environment in seen} & counted.findings.keys()
    uncounted = {id_: counted.findings[id_].uncounted for id_ in here}
    return counted.but(looks={**counted.looks, **looks}, ledgers={**counted.ledgers, **ledgers}, silences=fresh).learn(
        uncounted
    )


def noticed(rotation: Rotation, seen: Windows) -> Rotation:
    """Record what callers met since the reset, who used the old key, and which requests are ours."""
    since = {e: [s.since for s in windows if s.since.counts is not None] for e, windows in seen.items()}
    told = {e: callers for e, windows in seen.items() if (callers := _callers(windows))}
    drawn = {e: [_without_earlier_orphans(rotation, window.now) for window in windows] for e, windows in seen.items()}
    series = extended(rotation.series, drawn)
    known = rotation.but(callers={**rotation.callers, **told}, series=series)
    return _silences(_tallied(known, since), since)


def _without_earlier_orphans(rotation: Rotation, replica: Replica) -> Replica:
    """Leave out what was refused for a missing key before the delete: it is not the delete's doing."""
    lost = {
        name: many for name, many in replica.orphaned.items() if rotation.deleted_at and name not in rotation.orphaned
    }
    return replica.model_copy(update={"orphaned": lost})


def _callers(windows: Iterable[Window]) -> tuple[str, ...]:
    """Return the caller keys' ids that identify our requests; a page that can't be read has none, and hides none."""
    return next((window.now.callers for window in windows if window.now.callers), ())


Rises = Mapping[str, list[Replica]]
"""By environment, what each replica with counters has counted."""


def _tallied(rotation: Rotation, since: Rises) -> Rotation:
    """Add up callers' requests."""
    began = min((moment for f in rotation.findings.values() if (moment := f.moved_at)), default=None)
    fresh = {e: _ledger(rotation.ledgers.get(e, Ledger()), replicas) for e, replicas in since.items() if replicas}
    if began is None or not fresh:
        return rotation
    ledgers = {**rotation.ledgers, **fresh}
    total = summed(ledger.now for ledger in ledgers.values())
    return rotation.but(
        ledgers=ledgers, tally=Tally(since=began, answered=total.new, failed=total.failed, limited=total.limited)
    )


def _ledger(ledger: Ledger, replicas: list[Replica]) -> Ledger:
    """Add what callers met in an environment since the reset.

    A replica that restarted or can't be read takes its counts along: no count falls, or failures would be forgotten.
    """
    return ledger.but(now=Served(*map(max, ledger.now, summed([ledger.then, met(ledger, replicas)]))))


def _silences(rotation: Rotation, since: Rises) -> Rotation:
    """Record uses of the old key, once every model has left it."""
    if len(rotation.moved) < len(rotation.plan.models):
        return rotation.but(silences=())
    known = {(silence.environment, silence.url): silence for silence in rotation.silences}
    for environment, replicas in since.items():
        for replica in replicas:
            place = (environment, replica.url)
            known[place] = _heard(known.get(place), environment, replica, rotation)
    return rotation.but(silences=tuple(known.values()))


def _heard(before: OldKeyUsage | None, environment: str, replica: Replica, rotation: Rotation) -> OldKeyUsage:
    more = max(0, replica.old - (before.count if before else 0))
    heard_at = replica.at if more else before.heard_at if before else None
    first_at = before.first_at if before else None
    return OldKeyUsage(
        url=replica.url,
        environment=environment,
        looked_at=replica.at,
        heard_at=heard_at,
        count=replica.old,
        total=more + (before.total if before else 0),
        first_at=first_at or (replica.at if more else None),
        about=users_heard(replica.heard, rotation.plan.models),
        is_deaf=replica.is_deaf,
    )


def users_heard(heard: Mapping[str, int], models: Iterable[AffectedModel]) -> tuple[str, ...]:
    """Name the users of the old key that the counters show, the most frequent first."""
    aliases = {model.id: f"`{model.alias[:80]}`" for model in models}
    by_count = sorted(heard, key=lambda name: -heard[name])
    named = (WORDS.get(name) or aliases.get(name) or f"`{name[:80]}`" for name in by_count)
    return tuple(dict.fromkeys(named))[:MOST_NAMED]


WORDS = {PASSTHROUGH: "a passthrough route", OTHERS: "an alias that the counters do not name"}

MISSED = 0.001
"""The accepted chance of never probing a replica that lacks the change: one in a thousand."""

FEWEST = 20
"""The fewest requests that a model may take: its proof restarts after a lost one, and after a page that failed."""

UNLUCKY = 1e-6
"""The accepted chance that a replica which takes its share of requests never gets one for a given model."""


def turns(replicas: int, probes: int, attempt: int = 0, *, missed: float = MISSED) -> int:
    """Return how many requests in a row reach any given one of the replicas, if requests are spread by chance.

    Each *attempt* (from 1) is another random draw. Its share of *missed* is smaller than that of the one before, and
    all shares add up to at most *missed*. Attempt 0 has all of it.
    """
    if replicas == 1:
        return probes
    share = missed / (attempt * (attempt + 1)) if attempt else missed
    return max(probes, math.ceil(math.log(share) / math.log(1 - 1 / replicas)))


def most_turns(replicas: int, probes: int) -> int:
    """Return how many requests a model may take to reach each listed replica; of hundreds of models some need many."""
    return max(FEWEST, turns(replicas, probes, missed=UNLUCKY))


async def with_counters_reset(rotation: Rotation, world: World) -> Rotation:
    """Reset every counter: a request that was running during the change is counted only when it ends."""
    return rebased(rotation, await look(rotation, watched_environments(rotation), world))


def old_key_uses(rotation: Rotation) -> Iterator[str]:
    """Yield a sentence for each replica that counted requests on the old key after the move."""
    for silence in rotation.silences:
        if silence.count:
            where = rotation.plan.environment_name(silence.environment)
            many = "1 request" if silence.count == 1 else f"{silence.count:,} requests"
            by = f" ({', '.join(silence.about)})" if silence.about else ""
            yield f"`{silence.name}` in {where} has counted {many} on the old key since the change{by}"
