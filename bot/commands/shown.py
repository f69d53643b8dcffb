"""A rotation for the terminal: as a line, as a page of lines, and as values for JSON. Pure."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from bot.rotation.actions import Action
from bot.rotation.labels import label_of
from bot.rotation.parts import Revocation
from bot.rotation.policy import BESIDE, offered
from bot.rotation.progress import next_step, steps_of
from bot.rotation.record import Approval, Rotation, Stop
from bot.rotation.states import MEANING, State
from bot.rotation.stops import HELP, guide_to


def line(rotation: Rotation) -> str:
    """Return a rotation in one line, for a list."""
    return (
        f"{rotation.id}  {state(rotation)}: {rotation.plan.old_key.display_name}, asked for by "
        f"{rotation.requested_by} in {rotation.channel}, {_when(rotation.requested_at)}"
        f"{f', because {rotation.motive}' if rotation.motive else ''}"
    )


def task(rotation: Rotation) -> str:
    """Return in one line what is to be revoked at the provider."""
    assert rotation.revocation is not None
    return f"{rotation.id}  to be revoked: {rotation.plan.old_key.display_name}, {_task(rotation.revocation)}"


def state(rotation: Rotation) -> str:
    """Say the state, with the stop or with what the bot is doing."""
    more = ""
    if rotation.state is State.BLOCKED and rotation.stop:
        more = rotation.stop.headline
    elif rotation.waits_for_bot and (step := next_step(rotation)):
        more = step.doing
    return f"{MEANING[rotation.state]} ({more})" if more else MEANING[rotation.state]


def page(rotation: Rotation) -> Iterator[str]:
    """Yield the lines on one rotation."""
    known = details(rotation)
    new = f" -> {_key(known['new_key'])}" if known["new_key"] else ""
    yield f"{rotation.id}  {state(rotation)}"
    yield _row("key", f"{_key(known['old_key'])}{new}")
    yield _row("asked", f"by {rotation.requested_by} in {rotation.channel}, {_when(rotation.requested_at)}")
    if rotation.motive:
        yield _row("reason", rotation.motive)
    yield _row("steps", f"{len(rotation.done)} of {len(steps_of(rotation))} done{_now(known['step'])}")
    if rotation.note:
        yield _row("note", rotation.note)
    if rotation.stop and rotation.state is State.BLOCKED:
        yield from _stopped(rotation, rotation.stop)
    if rotation.policy.names:
        yield _row("policies", ", ".join(rotation.policy.names))
    yield from (_row("started", f"{each.by} {_when(each.at)}") for each in rotation.starts)
    yield from _approvals(rotation)
    yield from _said(rotation)
    yield _row("models", f"{len(rotation.moved)} of {len(rotation.plan.models)} on the new key")
    for model in known["models"]:
        reason = f": {model['reason']}" if model["reason"] else ""
        yield _row("", f"{model['alias']} in {model['environment']}: {model['verdict']}{reason}")


def _row(name: str, said: str) -> str:
    return f"  {name:<10}{said}"


def _key(known: dict[str, Any]) -> str:
    return f"{known['name']} ({known['id'] or 'not created yet'})"


def _now(step: dict[str, str] | None) -> str:
    return f", next: {step['name']} ({step['doing']})" if step else ""


def _stopped(rotation: Rotation, stop: Stop) -> Iterator[str]:
    yield _row("stop", f"{stop.sentence} ({_when(stop.at)})")
    for action, how in _helps(rotation, stop):
        yield _row("helps", f"{action.value}: {how}")
    yield _row("guide", guide_to(stop.headline))


def _approvals(rotation: Rotation) -> Iterator[str]:
    given = ", ".join(f"{each.by} {_when(each.at)}{_because(each)}" for each in rotation.approvals)
    yield _row("approvals", f"{len(rotation.approvals)} of {rotation.approvals_required}{given and f': {given}'}")


def _said(rotation: Rotation) -> Iterator[str]:
    """Yield what people said to each other, and whose task is left."""
    if leak := rotation.exposed:
        reviewed = f", reviewed by {rotation.review.by}" if rotation.review else ""
        yield _row("exposed", f"says {leak.by} {_when(leak.at)}{reviewed}")
    for asked in rotation.questions:
        yield _row("question", f"{asked.text}, asks {asked.by} {_when(asked.at)}: {asked.answer or 'no answer yet'}")
    for said in rotation.put_off:
        yield _row("not yet", f"{said.reason}, says {said.by} {_when(said.at)}{', approved since' * said.over}")
    if rotation.revocation:
        yield _row("revoke", _task(rotation.revocation))


def _task(task: Revocation) -> str:
    """Say which API key is to be revoked at its provider, or how that ended."""
    if task.ended_at is None:
        return f"the {task.which} API key at its provider, by {task.owner}, due {_when(task.due_at)}"
    not_needed = f"need not be, because {task.reason}, says" if task.reason else "was, says"
    return f"the {task.which} API key {not_needed} {task.ended_by} {_when(task.ended_at)}"


def _because(given: Approval) -> str:
    return f", because {given.reason}" if given.reason else ""


def _helps(rotation: Rotation, stop: Stop) -> Iterator[tuple[Action, str]]:
    """Yield what can be done about a stop, and where."""
    for action in [one for one in offered(rotation) if one not in {*BESIDE, Action.EXPOSED}]:
        if action is Action.TRY_AGAIN:
            yield action, f"{HELP[stop.kind].try_again}; on the card, or `python -m bot resume {rotation.id}`"
        else:
            yield action, "on the card"


def _when(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M} UTC"


def summary(rotation: Rotation) -> dict[str, Any]:
    """Return what a list has of a rotation, for JSON."""
    step = next_step(rotation) if not rotation.is_over else None
    stop = rotation.stop if rotation.state is State.BLOCKED else None
    key = rotation.plan.old_key
    return {
        "id": rotation.id,
        "state": rotation.state,
        "said": state(rotation),
        "step": {"name": step.name, "doing": step.doing} if step else None,
        "stop": stop.headline if stop else None,
        "old_key": {"id": key.id, "name": key.display_name},
        "models": len(rotation.plan.models),
        "moved": len(rotation.moved),
        "requested_by": rotation.requested_by,
        "requested_at": rotation.requested_at.isoformat(),
        "channel": rotation.channel,
        "why": rotation.why,
        "ticket": rotation.ticket,
        "revocation": rotation.revocation.model_dump(mode="json") if rotation.revocation else None,
    }


def details(rotation: Rotation) -> dict[str, Any]:
    """Return all that `show` says of a rotation, for JSON."""
    new = rotation.replacement
    return {
        **summary(rotation),
        "version": rotation.version,
        "new_key": {"id": new.key_id, "name": new.name} if new else None,
        "steps_done": [step.value for step in rotation.done],
        "note": rotation.note,
        "stop": _stop(rotation, rotation.stop) if rotation.stop and rotation.state is State.BLOCKED else None,
        "approvals": [
            {"by": each.by, "at": each.at.isoformat(), **({"reason": each.reason} if each.reason else {})}
            for each in rotation.approvals
        ],
        "approvals_required": rotation.approvals_required,
        "policies": list(rotation.policy.names),
        "starts": [{"by": each.by, "at": each.at.isoformat()} for each in rotation.starts],
        "questions": [one.model_dump(mode="json") for one in rotation.questions],
        "not_yet": [one.model_dump(mode="json") for one in rotation.put_off],
        "models": [_model(rotation, place) for place in range(len(rotation.plan.models))],
    }


def _stop(rotation: Rotation, stop: Stop) -> dict[str, Any]:
    return {
        "kind": stop.kind,
        "headline": stop.headline,
        "sentence": stop.sentence,
        "at": stop.at.isoformat(),
        "helps": [{"action": action.value, "how": how} for action, how in _helps(rotation, stop)],
        "guide": guide_to(stop.headline),
    }


def _model(rotation: Rotation, place: int) -> dict[str, Any]:
    model = rotation.plan.models[place]
    finding = rotation.finding(model)
    return {
        "id": model.id,
        "alias": model.alias,
        "environment": model.environment_name,
        "verdict": label_of(finding),
        "reason": finding.current.reason if finding.current else "",
        "moved_at": finding.moved_at.isoformat() if finding.moved_at else None,
    }
