"""Reaches a verdict on every model from answers and counters, at first and at every later check."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bot.rotation.blame import fails_alike
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.families import exchanges_tokens
from bot.rotation.finding import Finding, Throwaway, is_excused
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.proof import is_enough
from bot.rotation.record import Rotation
from bot.rotation.weighing import Observation, Window, weigh
from bot.steps.counters import Windows, look, most_turns, noticed, rebased
from bot.steps.pacing import AT_ONCE
from bot.steps.probing import noted, probe_all
from bot.steps.refusals import refuse_probed_elsewhere, refuse_unlisted_replica
from bot.steps.world import World


@dataclass(frozen=True)
class View:
    """All that a verdict depends on."""

    rotation: Rotation
    seen: Windows
    moving: frozenset[str]
    world: World

    def windows(self, model: AffectedModel) -> tuple[Window, ...]:
        """Return the snapshots of the replicas in the model's environment."""
        return self.seen.get(model.environment, ())


async def weighed(rotation: Rotation, models: Iterable[AffectedModel], world: World) -> Rotation:
    """Reach a verdict on each of *models* that answered; restart a proof that a replica contradicts or can't show."""
    answered = [model for model in models if rotation.finding(model).latest]
    seen = await look(rotation, {model.environment for model in answered}, world)
    rotation = noticed(rotation, seen)
    view = View(rotation, seen, rotation.moving, world)
    await refuse_answered_elsewhere(view, answered)
    judged = {model.id: _judged(model, view) for model in answered}
    contradicted = {m.environment for m in answered if is_contradicted(judged[m.id])}
    lacking = {m.environment for m in answered if _must_restart(judged[m.id], m, view)}
    rotation = _restarted(rotation.learn(judged), {e: seen[e] for e in contradicted & seen.keys()}, asked=0)
    return _restarted(rotation, {e: seen[e] for e in lacking - contradicted}, asked=None)


async def refuse_answered_elsewhere(view: View, models: Iterable[AffectedModel]) -> None:
    """Stop if another model or an unlisted replica answered: repeating until a listed one answers proves nothing."""
    for model in models:
        seen = observed(model, view)
        if seen.uncounted:
            shown = await view.world.control_plane.models([model.environment])
            refuse_probed_elsewhere(view.rotation, shown, view.world)
            where = view.rotation.plan.environments[model.environment]
            refuse_unlisted_replica(view.rotation, where, f"it answered {plural(seen.uncounted, 'test request')}")


def _restarted(rotation: Rotation, seen: Windows, *, asked: int | None) -> Rotation:
    """Restart the proofs of the environments in *seen*: the counters hold only answers after these snapshots."""
    here = {m.id: rotation.finding(m) for m in rotation.plan.models if m.environment in seen}
    fresh = {
        id_: finding.but(passes=0, asked=finding.asked if asked is None else asked)
        for id_, finding in here.items()
        if id_ in rotation.findings and not (finding.verdict and finding.verdict.passed)
    }
    barriers = tuple(recounted(b, seen.get(b.environment, ())) for b in rotation.barriers)
    return rebased(rotation.but(barriers=barriers).learn(fresh), seen)


def recounted(barrier: Throwaway, windows: tuple[Window, ...]) -> Throwaway:
    """Stop expecting answers to a barrier that counters lost in a restart.

    Keep expecting those that they never showed: another replica gave those answers.
    """
    lost = sum(window.before.served(barrier.name).new for window in windows if window.before and window.started_again)
    return barrier.but(answered=max(0, barrier.answered - lost))


def _must_restart(finding: Finding, model: AffectedModel, view: View) -> bool:
    """Return whether its counters require a proof to restart; after enough test requests, they no longer do."""
    seen = observed(model, view)
    early = finding.asked < most_turns(max(1, len(seen.windows)), view.world.limits.probes)
    unclear = (bool(seen.lost) and seen.told) or seen.has_surplus or bool(seen.covered)
    return early and (unclear or any(map(_lacks_start, seen.windows)))


def _lacks_start(window: Window) -> bool:
    """Return whether a replica shows counters that the start of the proof lacks, or that restarted since."""
    since, now = window.since, window.now
    return now.counts is not None and (
        since.counts is None or window.started_again or (now.own is not None and since.own is None)
    )


def _judged(model: AffectedModel, view: View) -> Finding:
    finding = view.rotation.finding(model)
    assert finding.latest is not None
    if 0 < finding.passes < view.world.limits.probes:
        return finding.but(verdict=None)
    seen = observed(model, view)
    judged = finding.but(verdict=as_verdict(finding.latest, weigh(seen)))
    if _is_too_early(judged, seen, view.world):
        return finding.but(verdict=None)
    assert judged.verdict is not None
    content = judged.verdict.passed or judged.verdict.skipped
    return judged if content else judged.but(failing_since=finding.failing_since or view.world.now())


def as_verdict(answer: Evidence, judgement: tuple[Verdict, str]) -> Evidence:
    """Return the verdict on an answer; its signature keeps an earlier acceptance from covering a new doubt."""
    verdict, reason = judgement
    doubted = answer.passed and verdict is Verdict.INCONCLUSIVE
    signature = f"{answer.signature}: {reason}" if doubted else answer.signature
    return answer.but(verdict=verdict, reason=reason, signature=signature)


def _is_too_early(finding: Finding, seen: Observation, world: World) -> bool:
    """Return whether more test requests may still reach a replica that counts and has not been reached."""
    if finding.passes == 0 or not finding.verdict or finding.verdict.verdict not in UNDECIDED:
        return False
    counted = [window for window in seen.windows if window.now.counts is not None]
    unreached = any(not _reached(window, seen.model_id) for window in counted)
    return unreached and finding.asked < most_turns(len(seen.windows), world.limits.probes)


def _reached(window: Window, model_id: str) -> int:
    """Return how many of our answers a replica shows; all answers if ours can't be told apart."""
    return (window.since.asked(model_id) or window.since.served(model_id)).new


UNDECIDED = frozenset({Verdict.LIKELY, Verdict.INCONCLUSIVE})


def is_contradicted(finding: Finding) -> bool:
    """Return whether a model answers well, or is not probed, and a replica shows that this proves nothing."""
    verdict, latest = finding.verdict, finding.latest
    fine = latest is not None and (latest.passed or latest.skipped)
    return bool(fine and verdict and verdict.verdict in (Verdict.INVALID, Verdict.PROJECTION))


PROJECTED = "a model made after the change answered on every replica asked"


def observed(model: AffectedModel, view: View, *, again: bool = False) -> Observation:
    """Collect the evidence about a model; *again*: the visible replicas had the change before."""
    rotation = view.rotation
    finding, barrier = rotation.finding(model), rotation.barrier(model.environment)
    assert finding.latest is not None
    return Observation(
        model_id=model.id,
        replacement_id=str(rotation.replacement_id),
        answer=finding.latest,
        passes=finding.passes,
        wanted=view.world.limits.probes,
        answered=finding.answered,
        lost=finding.lost,
        malformed=finding.malformed,
        reached=finding.reached,
        turned_away=finding.turned_away,
        as_before=fails_alike(finding.baseline, finding.latest),
        windows=view.windows(model),
        barrier=barrier.name if barrier else "",
        projected=PROJECTED if barrier and barrier.everywhere else "",
        had_change=again,
        too_few=_too_few(model.environment, rotation, view.world, met=again),
        old_token_until=_old_token_until(rotation, finding, view.world),
        others_remain=model.environment in view.moving,
        hides_tokens=_last_token(rotation, finding) > view.world.now(),
    )


def _too_few(environment: str, rotation: Rotation, world: World, *, met: bool) -> str:
    """Say why the settings don't give the replicas; empty if they do. *met*: an unlisted one would have been met."""
    listed, replicas = len(world.status.addresses(environment)), world.status.replicas(environment)
    if 0 < listed < replicas:
        return f"the settings list {plural(listed, 'status address')} for {replicas} replicas"
    met = met or bool(rotation.barrier(environment) or rotation.callers.get(environment))  # either one detects it
    if not (listed and met) and not world.status.says_how_many(environment):
        return "nothing says how many replicas there are: put `replicas` into the settings"
    return ""


def uncounted(barrier: Throwaway, windows: tuple[Window, ...]) -> int:
    """Return how many answers of a barrier no listed replica has counted; only Keyturn sends requests to it."""
    if not windows or any(window.now.counts is None for window in windows):
        return 0
    counted = [window.now.served(barrier.name) for window in windows]
    return max(0, barrier.answered - sum(served.new + served.blind for served in counted))


TOKEN_LIFE = timedelta(minutes=60)
"""How long some gateways keep and use a token for the old secret (facts/aisix.md, G6)."""


def _last_token(rotation: Rotation, finding: Finding) -> datetime:
    """Return until when a token for the old secret may be good; the distant past if secrets are sent as they are."""
    if not exchanges_tokens(rotation.plan.old_key) or not finding.moved_at:
        return datetime.min.replace(tzinfo=UTC)
    return finding.moved_at + TOKEN_LIFE


def _old_token_until(rotation: Rotation, finding: Finding, world: World) -> datetime | None:
    """Return until when a gateway may use a token for the old secret; None if its version does not keep them."""
    old = finding.latest is not None and world.gateways.may_keep_tokens(finding.latest)
    until = _last_token(rotation, finding)
    return until if old and world.now() < until else None


async def probed_further(rotation: Rotation, models: list[AffectedModel], world: World) -> Rotation:
    """Probe those of *models* that answer, as often as their proof still needs, all of them concurrently.

    Bad answers are recorded last: one replica's good answer must not hide another's refusal.
    """
    more = [model for model in models for _ in range(_probes_left(rotation.finding(model), model, len(models), world))]
    rounds = await probe_all(rotation, more, world)
    for answers in (*(_some(seen, passed=True) for seen in rounds), *(_some(seen, passed=False) for seen in rounds)):
        rotation = noted(rotation, answers, world.now())
    return rotation


def _some(seen: dict[str, Evidence], *, passed: bool) -> dict[str, Evidence]:
    return {id_: evidence for id_, evidence in seen.items() if evidence.passed is passed}


def _probes_left(finding: Finding, model: AffectedModel, many: int, world: World) -> int:
    """Return how many more test requests a model needs; none if it fails.

    A model with enough answers may still have an unreached replica. Single requests in step with callers could keep
    reaching the same replica under round-robin balancing, so a few go out at once: a random number up to one more than
    its replicas, and more if only a few of the *many* models are left.
    """
    wanted = world.limits.probes
    if finding.passes < wanted:
        return wanted - finding.passes if finding.passes else 0
    replicas = len(world.status.addresses(model.environment))
    unmet = max(1, most_turns(max(1, replicas), wanted) - finding.asked)
    return min(unmet, max(1 + secrets.randbelow(replicas + 1), AT_ONCE // many))


def is_bypassed(finding: Finding) -> bool:
    """Return whether a cache or another target gave the last answer: it shows nothing about the gateway."""
    return finding.latest is not None and finding.latest.verdict is Verdict.INVALID


def doubtful(rotation: Rotation, world: World) -> list[AffectedModel]:
    """Return the models whose verdict is no longer good enough."""
    strict = needs_proof(rotation, world)
    return [model for model in rotation.plan.models if not _is_well(rotation.finding(model), require_proof=strict)]


def needs_proof(rotation: Rotation, world: World) -> bool:
    """Return whether the counters must prove every model."""
    return world.limits.require_proof or rotation.policy.require_proof


def _is_well(finding: Finding, *, require_proof: bool) -> bool:
    enough = is_enough(finding, require_proof=require_proof)
    return finding.latest is None or enough or is_excused(finding)
