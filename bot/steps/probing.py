"""Sends test requests to models, and records their answers."""

import random
from collections.abc import Mapping
from datetime import datetime

from bot.rotation.blame import held_against
from bot.rotation.counted import Ledger
from bot.rotation.evidence import Evidence
from bot.rotation.families import exchanges_tokens
from bot.rotation.finding import Finding
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Rotation
from bot.rotation.replica import Served
from bot.rotation.waves import in_play
from bot.steps.pacing import each
from bot.steps.world import World


def askable(rotation: Rotation, world: World) -> list[AffectedModel]:
    """Return the affected models whose environment has a gateway in the settings."""
    return [model for model in rotation.plan.models if model.environment in world.gateways.environments]


def current_models(rotation: Rotation, world: World) -> tuple[AffectedModel, ...]:
    """Return the models of the current wave and of all earlier ones."""
    return in_play(rotation, world.limits.environment_order, world.limits.waves)


async def probe_each(rotation: Rotation, models: list[AffectedModel], world: World) -> dict[str, Evidence]:
    """Probe each of *models* once, as many as a slice of time allows."""
    return next(iter(await probe_all(rotation, models, world)), {})


async def probe_all(rotation: Rotation, models: list[AffectedModel], world: World) -> list[dict[str, Evidence]]:
    """Probe *models*, each as often as it occurs; return all first answers, then all second ones, and so on.

    The order is random: under round-robin balancing, a fixed order could send a model to the same replica every time.
    """
    answers: list[dict[str, Evidence]] = []

    async def probe(model: AffectedModel) -> None:
        evidence = await world.gateways.probe(model, rotation.id)
        place = next((answer for answer in answers if model.id not in answer), None)
        if place is None:
            answers.append(place := {})
        place[model.id] = evidence

    await each(random.sample(models, len(models)), probe, width=world.limits.concurrency)
    return answers


def noted(rotation: Rotation, seen: Mapping[str, Evidence], now: datetime) -> Rotation:
    """Record the answers: good ones in a row, since when a model fails, and which requests were ours."""
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
    """Return *finding* with one more answer."""
    asked = finding.but(
        asked=finding.asked + 1,
        answered=finding.answered + evidence.passed,
        lost=finding.lost + evidence.lost,
        pending=finding.pending + evidence.pending,
        pending_at=now if evidence.pending else finding.pending_at,
        malformed=finding.malformed + evidence.malformed,
        reached=finding.reached + evidence.is_shown,
        turned_away=finding.turned_away + evidence.turned_away,
        unclear=finding.unclear + (not evidence.is_shown and not evidence.lost),
    )
    if not evidence.passed:
        return asked.but(latest=evidence, passes=0, failing_since=finding.failing_since or now)
    passes = finding.passes + 1
    reason = "answered once since the change" if passes == 1 else f"answered {passes} times in a row since the change"
    return asked.but(latest=evidence.but(reason=reason), passes=passes, failing_since=None)
