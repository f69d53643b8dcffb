"""What every step is made of: the world it acts on, what it may return, and the few moves that many share."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.control_plane import ControlPlane
from bot.errors import Blocked, KeyturnError, StopKind, Uncertain
from bot.evidence import Evidence, Verdict
from bot.gateway import Gateways
from bot.plan import AffectedModel, Inventory, ProviderKey, drift, unlisted_environments
from bot.rotation import Finding, Rotation, was_failing_before


@dataclass(frozen=True)
class Limits:
    """How long and how much; every one of them is a setting."""

    concurrency: int
    probes: int
    create_grace: timedelta
    read_back: timedelta
    projection: timedelta
    settle: timedelta
    verify: timedelta
    soak: timedelta
    patience: timedelta
    secret_expiry: timedelta
    approval_reminder: timedelta
    approval_expiry: timedelta


@dataclass(frozen=True)
class World:
    """What the steps act on."""

    control_plane: ControlPlane
    gateways: Gateways
    limits: Limits
    now: Callable[[], datetime]


@dataclass(frozen=True)
class Done:
    """The step is finished."""

    rotation: Rotation


@dataclass(frozen=True)
class Wait:
    """The step is not finished; look again in *retry_in* (zero: at once)."""

    rotation: Rotation
    reason: str
    retry_in: timedelta = timedelta(0)


@dataclass(frozen=True)
class Ask:
    """The next move is the requester's: another secret is needed, for this *reason*."""

    rotation: Rotation
    reason: str


Outcome = Done | Wait | Ask


@dataclass(frozen=True)
class Step:
    """A named move. *doing* is what the card says while it runs; a gated one waits for an approver first."""

    name: str
    title: str
    doing: str
    run: Callable[[Rotation, World], Awaitable[Outcome]]
    gated: bool = False


SLICE = 1.0
"""Seconds that a step works before it returns what it has, so that a crash loses little and people see progress."""

POLL = timedelta(seconds=1)


def refuse_drift(rotation: Rotation, inventory: Inventory, world: World) -> Rotation:
    """Return *rotation* with the plan as it stands now, or stop if that is not what was shown.

    The card then shows the world as it is, and **Try again** takes it so.
    """
    ours = [key.id for key in rotation.own_keys(inventory.keys)]
    changes = drift(rotation.plan, inventory, ours, world.gateways.environments)
    if changes.sentences:
        raise Blocked(
            StopKind.DRIFT,
            "someone changed something meanwhile",
            listing(changes.sentences, joint=" "),
            resume="replace",
            after=rotation.but(plan=changes.plan),
        )
    return rotation.but(plan=changes.plan)


def existing(inventory: Inventory, key_id: str | None, sentence: str) -> ProviderKey:
    """Return that key, or stop: it was there when the step before this one looked."""
    key = inventory.key(key_id)
    if key is None:
        raise Blocked(StopKind.REFUSED, "a key is gone", sentence)
    return key


def models_on(inventory: Inventory, keys: Iterable[ProviderKey]) -> set[str]:
    """Return the ids of the models that refer to one of *keys*."""
    held = list(keys)
    return {model.id for model in inventory.models if any(key.is_used_by(model) for key in held)}


def refuse_unlisted(rotation: Rotation, inventory: Inventory, world: World) -> None:
    """Stop where a part of the tenant cannot be seen: what is there may use the old key."""
    hidden = unlisted_environments(rotation.plan, inventory, world.gateways.environments)
    if hidden:
        sentence = (
            f"The old key or AISIX_GATEWAYS names {listing(f'`{name}`' for name in hidden)}, "
            "and AISIX lists no such environment: a model there may use the old key."
        )
        raise Blocked(StopKind.UNVERIFIED, "an environment cannot be seen", sentence, after=rotation)
    if rotation.plan.has_routes and not inventory.has_routes:
        raise Uncertain("AISIX does not show the passthrough routes that it had.")


async def point(rotation: Rotation, models: list[AffectedModel], key_id: str, world: World) -> Wait:
    """Point as many of *models* as a slice of time allows; what could not be pointed is met again next time."""

    async def point_one(model: AffectedModel) -> None:
        await world.control_plane.point(model.id, model.environment, key_id)

    results = await each(models, point_one, width=world.limits.concurrency)
    now = world.now()
    moved = {m.id: rotation.finding(m).but(moved_at=now) for m, error in results if error is None}
    rotation = rotation.learn(moved) if key_id == rotation.replacement_id else rotation
    _raise_refusal(rotation, results)
    progress = f"{len(rotation.moved)} of {len(rotation.plan.models)}"
    return Wait(rotation, progress, timedelta(0) if any(error is None for _, error in results) else POLL)


def _raise_refusal(rotation: Rotation, results: list[tuple[AffectedModel, Exception | None]]) -> None:
    """A refusal stops the rotation; being unable to tell is raised only when nothing at all got through."""
    errors = [(model, error) for model, error in results if error]
    refusals = [pair for pair in errors if not isinstance(pair[1], Uncertain)]
    if refusals:
        model, error = refusals[0]
        sentence = f"AISIX refused to move {model.label}. {error}"
        raise Blocked(StopKind.TROUBLE, "a model could not be moved", sentence, after=rotation) from error
    if errors and len(errors) == len(results):
        raise errors[0][1]


def askable(rotation: Rotation, world: World) -> list[AffectedModel]:
    """Return the affected models whose environment has a gateway in the settings."""
    return [model for model in rotation.plan.models if model.environment in world.gateways.environments]


async def probe_each(rotation: Rotation, models: list[AffectedModel], world: World) -> dict[str, Evidence]:
    """Probe each of *models* once, as many as a slice of time allows."""
    seen: dict[str, Evidence] = {}

    async def probe(model: AffectedModel) -> None:
        seen[model.id] = await world.gateways.probe(model, rotation.id)

    await each(models, probe, width=world.limits.concurrency)
    return seen


def noted(rotation: Rotation, seen: Mapping[str, Evidence], now: datetime) -> Rotation:
    """Count what was seen: passes in a row, and since when a model fails."""
    return rotation.learn(
        {id_: counted(rotation.findings.get(id_, Finding()), evidence, now) for id_, evidence in seen.items()}
    )


def counted(finding: Finding, evidence: Evidence, now: datetime) -> Finding:
    """Return *finding* with one more piece of evidence."""
    if not evidence.passed:
        return finding.but(latest=evidence, passes=0, failing_since=finding.failing_since or now)
    passes = finding.passes + 1
    reason = "answered once since the change" if passes == 1 else f"answered {passes} times in a row since the change"
    return finding.but(latest=evidence.but(reason=reason), passes=passes, failing_since=None)


def waited(rotation: Rotation, world: World) -> timedelta:
    """Say how long the present step has been going on."""
    return world.now() - (rotation.step_since or world.now())


def refuse_rejected(rotation: Rotation, models: Iterable[AffectedModel]) -> None:
    """Stop at the first model whose upstream refuses the new secret."""
    rejected = [m for m in models if _is_rejected(rotation.finding(m))]
    if rejected:
        evidence = rotation.finding(rejected[0]).latest
        assert evidence is not None
        raise Blocked(
            StopKind.REJECTED,
            "the new secret was refused",
            f"{rejected[0].label}: {evidence.reason}.",
            resume="project",
            after=rotation,
        )


def _is_rejected(finding: Finding) -> bool:
    latest = finding.latest
    return latest is not None and latest.verdict is Verdict.REJECTED and not was_failing_before(finding)


async def each(
    models: list[AffectedModel], act: Callable[[AffectedModel], Awaitable[None]], *, width: int
) -> list[tuple[AffectedModel, Exception | None]]:
    """Act on *models*, *width* at a time, beginning none after `SLICE`; return those begun, with their errors."""
    waiting = iter(models)
    results: list[tuple[AffectedModel, Exception | None]] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SLICE

    async def work() -> None:
        for model in waiting:
            try:
                await act(model)
                results.append((model, None))
            except KeyturnError as error:
                results.append((model, error))
            if loop.time() > end:
                return

    async with asyncio.TaskGroup() as group:
        for _ in range(min(width, len(models))):
            group.create_task(work())
    return results


MOST_NAMED = 5


def listing(items: Iterable[str], joint: str = ", ") -> str:
    """Name the first few of *items* and count the rest."""
    named = list(items)
    more = len(named) - MOST_NAMED
    shown = joint.join(named[:MOST_NAMED])
    return f"{shown}{joint}and {more} more" if more > 0 else shown
