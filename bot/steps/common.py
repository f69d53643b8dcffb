"""What every step is made of: the world it acts on, what it may return, and the few moves that many share."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways
from bot.aisix.status import StatusPages
from bot.rotation.blame import headline, held_against
from bot.rotation.errors import Blocked, KeyturnError, StopKind, Uncertain
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.families import exchanges_tokens
from bot.rotation.people import NOBODY, People
from bot.rotation.plan import (
    AffectedModel,
    Inventory,
    ProviderKey,
    drift,
    is_elsewhere,
    named_lists,
    plural,
    unlisted_environments,
    vanished_environments,
    vanished_lists,
)
from bot.rotation.record import Finding, Ledger, Rotation, was_failing_before
from bot.rotation.replica import Served
from bot.rotation.waves import in_play
from bot.storage.lease import UNHELD, Hold


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
    require_proof: bool
    waves: tuple[int, ...]
    environment_order: tuple[str, ...]
    soak: timedelta
    listen: timedelta
    look_interval: timedelta
    evidence_max_age: timedelta
    watch: timedelta
    patience: timedelta
    secret_expiry: timedelta
    approval_reminder: timedelta
    approval_expiry: timedelta


@dataclass(frozen=True)
class World:
    """What the steps act on."""

    control_plane: ControlPlane
    gateways: Gateways
    status: StatusPages
    limits: Limits
    now: Callable[[], datetime]
    people: People = NOBODY
    hold: Hold = UNHELD
    """The lease on the rotation in hand."""


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


@dataclass(frozen=True)
class Again:
    """Go on from the step *name*, with it and all after it undone, for this *reason*; approvals are void."""

    rotation: Rotation
    name: str
    reason: str


@dataclass(frozen=True)
class Unapproved:
    """Approvals that were given no longer count, and too few are left: an approver is asked again."""

    rotation: Rotation


Outcome = Done | Wait | Ask | Again | Unapproved


@dataclass(frozen=True)
class Step:
    """A named move. *doing* is what the card says while it runs; a gated one waits for an approver first.

    One that *waits for time* is not stopped for learning nothing new; *resume* names the earlier step where
    **Try again** begins after a stop.
    """

    name: str
    title: str
    doing: str
    run: Callable[[Rotation, World], Awaitable[Outcome]]
    gated: bool = False
    waits_for_time: bool = False
    resume: str = ""


SLICE = 2.0
"""Seconds that a step works before it returns what it has, so that a crash loses little and people see progress."""

APART = 0.001
"""Seconds between the first requests of many: what is sent together is answered together, and waits for each other."""

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
            after=rotation.planned_anew(changes.plan),
        )
    return rotation.planned_anew(changes.plan)


async def whole_inventory(rotation: Rotation, world: World) -> Inventory:
    """Read everything; a list that lacks one of the two keys is not believed until more says that it is gone."""
    inventory = await world.control_plane.inventory()
    if is_elsewhere(rotation.plan, inventory):
        raise Uncertain(
            "AISIX shows none of the environments of this rotation: AISIX_ADMIN_TOKEN may be another organization's."
        )
    old, new = rotation.plan.old_key.id, rotation.replacement_id
    known_gone = rotation.delete_granted or rotation.plan.old_key_gone
    if inventory.key(old) is None and not known_gone:
        await confirm_gone(old, new, world)
    if new and inventory.key(new) is None:
        await confirm_gone(new, old, world)
    return inventory


async def confirm_gone(key_id: str, beside: str | None, world: World) -> None:
    """Raise `Uncertain` unless more than one list says that a provider key is gone."""
    if not await world.control_plane.is_gone(key_id, beside):
        raise Uncertain("AISIX's lists of provider keys contradict each other.")


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
    """Stop where a part of the tenant cannot be seen, or not any more: what is there may use the old key."""
    plan = rotation.plan
    hidden = unlisted_environments(plan, inventory, world.gateways.environments)
    if hidden:
        sentence = (
            f"The old key or AISIX_GATEWAYS names {listing(f'`{name}`' for name in hidden)}, "
            "and AISIX lists no such environment: a model there may use the old key."
        )
        raise Blocked(StopKind.UNVERIFIED, "an environment cannot be seen", sentence, after=rotation)
    gone = vanished_environments(plan, inventory)
    if gone:
        sentence = (
            f"Not deleted: AISIX listed {listing(f'`{name}`' for name in gone)} to this rotation and does not now. "
            "A model there may use the old key. Show it to the admin token again, then try again; "
            "if it was removed for good, roll back and start again."
        )
        raise Blocked(StopKind.UNVERIFIED, "an environment cannot be seen", sentence, after=rotation)
    lost = vanished_lists(plan, inventory)
    if lost:
        sentence = (
            f"Not deleted: AISIX showed {named_lists(lost, plan)} to this rotation and does not now. "
            "Something there may use the old key. Try again once AISIX shows them."
        )
        raise Blocked(StopKind.UNVERIFIED, "a list cannot be read", sentence, after=rotation)
    if plan.has_routes and not inventory.has_routes:
        raise Uncertain("AISIX does not show the passthrough routes that it had.")


async def point(rotation: Rotation, models: list[AffectedModel], key: ProviderKey, world: World) -> Wait:
    """Point as many of *models* as a slice of time allows; what could not be pointed is met again next time."""

    async def point_one(model: AffectedModel) -> None:
        await world.control_plane.point(model.id, model.environment, key.id)

    results = await each(models, point_one, width=world.limits.concurrency)
    now = world.now()
    moved = {m.id: rotation.finding(m).but(moved_at=now) for m, error in results if error is None}
    rotation = rotation.learn(moved) if key.id == rotation.replacement_id else rotation
    _raise_refusal(rotation, results, key)
    progress = f"{len(rotation.moved)} of {len(rotation.plan.models)}"
    return Wait(rotation, progress, timedelta(0) if any(error is None for _, error in results) else POLL)


def _raise_refusal(rotation: Rotation, results: list[tuple[AffectedModel, Exception | None]], key: ProviderKey) -> None:
    """A refusal stops the rotation; being unable to tell is raised only when nothing at all got through."""
    errors = [(model, error) for model, error in results if error]
    refusals = [pair for pair in errors if not isinstance(pair[1], Uncertain)]
    if refusals:
        model, error = refusals[0]
        barred = key.allowed_environments and model.environment not in key.allowed_environments
        why = f" `{key.display_name}` is not allowed there: allow it in AISIX, then try again." if barred else ""
        sentence = f"AISIX refused to move {model.label}. {error}{why}"
        raise Blocked(StopKind.TROUBLE, "a model could not be moved", sentence, after=rotation) from error
    if errors and len(errors) == len(results):
        raise errors[0][1]


def askable(rotation: Rotation, world: World) -> list[AffectedModel]:
    """Return the affected models whose environment has a gateway in the settings."""
    return [model for model in rotation.plan.models if model.environment in world.gateways.environments]


def in_hand(rotation: Rotation, world: World) -> tuple[AffectedModel, ...]:
    """Return the models of the wave in hand and of all before it."""
    return in_play(rotation, world.limits.environment_order, world.limits.waves)


async def probe_each(rotation: Rotation, models: list[AffectedModel], world: World) -> dict[str, Evidence]:
    """Probe each of *models* once, as many as a slice of time allows.

    In another order each time: in step with a balancer that deals in turn, a model would always meet the same replica.
    """
    seen: dict[str, Evidence] = {}
    models = random.sample(models, len(models))

    async def probe(model: AffectedModel) -> None:
        seen[model.id] = await world.gateways.probe(model, rotation.id)

    await each(models, probe, width=world.limits.concurrency)
    return seen


def noted(rotation: Rotation, seen: Mapping[str, Evidence], now: datetime) -> Rotation:
    """Count what was seen: passes in a row, since when a model fails, and which requests were no callers'."""
    exchanges = exchanges_tokens(rotation.plan.old_key)
    findings: dict[str, Finding] = {}
    for id_, evidence in seen.items():
        finding = rotation.findings.get(id_, Finding())
        findings[id_] = counted(finding, held_against(finding.baseline, evidence, exchanges=exchanges), now)
    ledgers = dict(rotation.ledgers)
    for model in rotation.plan.models:
        if model.id in seen:
            ledger = ledgers.get(model.environment, Ledger())
            ledgers[model.environment] = ledger.but(probed=_with_probe(ledger.probed, seen[model.id]))
    return rotation.but(ledgers=ledgers).learn(findings)


def _with_probe(probed: Served, evidence: Evidence) -> Served:
    return probed._replace(
        new=probed.new + evidence.passed, failed=probed.failed + (evidence.reached and not evidence.passed)
    )


def counted(finding: Finding, evidence: Evidence, now: datetime) -> Finding:
    """Return *finding* with one more piece of evidence."""
    asked = finding.but(
        asked=finding.asked + 1,
        answered=finding.answered + evidence.passed,
        lost=finding.lost + evidence.lost,
        reached=finding.reached + evidence.is_shown,
    )
    if not evidence.passed:
        return asked.but(latest=evidence, passes=0, failing_since=finding.failing_since or now)
    passes = finding.passes + 1
    reason = "answered once since the change" if passes == 1 else f"answered {passes} times in a row since the change"
    return asked.but(latest=evidence.but(reason=reason), passes=passes, failing_since=None)


def waited(rotation: Rotation, world: World) -> timedelta:
    """Say how long the present step has been going on."""
    return world.now() - (rotation.step_since or world.now())


def refuse_rejected(rotation: Rotation, models: Iterable[AffectedModel]) -> None:
    """Stop at the first model that is refused with the new key, and was not with the old one."""
    rejected = [m for m in models if _is_rejected(rotation.finding(m))]
    if rejected:
        rejected.sort(key=lambda model: not _blames_credential(rotation.finding(model)))
        evidence = rotation.finding(rejected[0]).latest
        assert evidence is not None
        raise Blocked(
            StopKind.REJECTED,
            headline(evidence),
            f"{rejected[0].label}: {evidence.reason}.",
            resume="project",
            after=rotation,
        )


def _is_rejected(finding: Finding) -> bool:
    latest = finding.latest
    return latest is not None and latest.verdict is Verdict.REJECTED and not was_failing_before(finding)


def _blames_credential(finding: Finding) -> bool:
    return finding.latest is not None and finding.latest.blames_credential


async def each(
    models: list[AffectedModel], act: Callable[[AffectedModel], Awaitable[None]], *, width: int
) -> list[tuple[AffectedModel, Exception | None]]:
    """Act on *models*, *width* at a time, beginning none after `SLICE`; return those begun, with their errors."""
    waiting = iter(models)
    results: list[tuple[AffectedModel, Exception | None]] = []
    loop = asyncio.get_running_loop()
    end = loop.time() + SLICE

    async def work(place: int) -> None:
        if len(models) > width:
            await asyncio.sleep(place * APART)
        for model in waiting:
            try:
                await act(model)
                results.append((model, None))
            except KeyturnError as error:
                results.append((model, error))
            if loop.time() > end:
                return

    async with asyncio.TaskGroup() as group:
        for place in range(min(width, len(models))):
            group.create_task(work(place))
    return results


def refuse_unlisted_replica(rotation: Rotation, where: str, how: str) -> None:
    """Stop: a replica that no status address shows takes part, and may serve the old key."""
    sentence = (
        f"In {where} a replica answers that is not in `status_urls`: {how}. What it does with the old key cannot be "
        "seen. Add its status address to AISIX_GATEWAYS (every replica has its own), then try again."
    )
    raise Blocked(
        StopKind.PROJECTION,
        "a replica is not in the settings",
        sentence,
        resume="cut-over",
        after=rotation.but(barriers=()),
    )


ELSEWHERE = "This says nothing against the new secret: look at Resource Projection in AISIX first."
NO_REPLACEMENT = "The replacement key no longer exists: someone deleted it."

MOST_NAMED = 5


def listing(items: Iterable[str], joint: str = ", ") -> str:
    """Name the first few of *items* and count the rest."""
    named = list(items)
    more = len(named) - MOST_NAMED
    shown = joint.join(named[:MOST_NAMED])
    return f"{shown}{joint}and {more} more" if more > 0 else shown


def said(length: timedelta) -> str:
    """Say a length of time in its largest unit."""
    seconds = length.total_seconds()
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            return plural(round(seconds / size), unit)
    return f"{seconds:g} s"
