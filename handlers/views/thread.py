"""The thread under a card: one checklist, a short reply at each milestone, the receipt."""

from collections.abc import Iterator

from bot.evidence import Verdict
from bot.plan import plural
from bot.rotation import Rotation, State, Track
from bot.steps import next_step, steps_of
from bot.steps.common import Step
from handlers.views import words
from handlers.views.blocks import Block, code, context, escaped, message, section, sentence, shortened, visible, when

QUIET = frozenset({"tidy", "soak"})
"""Steps that are shown only while they go on: mostly there is nothing to do."""

Reply = tuple[str, dict[str, object]]
"""A milestone's key, under which it is told once, and its message."""


def checklist(rotation: Rotation) -> dict[str, object]:
    """Render where the rotation is among its steps."""
    lines = list(_lines(rotation))
    return message(f"Steps of this rotation: {'; '.join(lines)}", [section("\n".join(lines))])


def _lines(rotation: Rotation) -> Iterator[str]:
    current = next_step(rotation)
    asked = False
    for step in steps_of(rotation):
        if step.gated and not asked:
            asked = True
            yield _approval_line(rotation)
        if step.name not in QUIET or (step is current and rotation.waits_for_bot):
            yield _line(step, step is current, rotation)


def _line(step: Step, current: bool, rotation: Rotation) -> str:  # noqa: FBT001 - a column of the line
    detail = _detail(step, rotation)
    if step.name in rotation.done:
        return f"✔ *{step.title}*{f'   {detail}' if detail else ''}"
    if current and rotation.state is State.BLOCKED and rotation.stop:
        return f"■ *{step.title}*   {sentence(rotation.stop.headline)}"
    if current and rotation.waits_for_bot:
        return f"◔ *{step.title}*   {sentence(rotation.note or step.doing, 200)}"
    return f"· {step.title}"


def _approval_line(rotation: Rotation) -> str:
    if len(rotation.approvals) >= rotation.approvals_required:
        return f"✔ *Approval*   {words.approvers(rotation)}"
    if rotation.state is State.AWAITING_APPROVAL:
        return "◔ *Approval*   wanted"
    return "· Approval"


def _detail(step: Step, rotation: Rotation) -> str:
    """Say what a finished step came to."""
    match step.name:
        case "replace":
            return f"{code(rotation.replacement_id or '')} has the same settings as the old key"
        case "baseline":
            return baseline(rotation)
        case "cut-over":
            return f"{len(rotation.moved)} of {len(rotation.plan.models)}"
        case "verify":
            return words.tally(rotation)
        case _:
            return ""


def baseline(rotation: Rotation) -> str:
    """Say how the models did on the old key."""
    seen = [(m, f.baseline) for m in rotation.plan.models if (f := rotation.finding(m)).baseline]
    asked = [(m, e) for m, e in seen if e.verdict is not Verdict.SKIPPED]
    failing = [m.alias for m, e in asked if not e.passed]
    good = f"{len(asked) - len(failing)} of {plural(len(asked), 'model')} answered on the old key"
    if not failing:
        return good
    named = ", ".join(code(alias) for alias in failing[:5])
    return f"{good}; not before we began: {named}{' and more' if len(failing) > 5 else ''}"  # noqa: PLR2004 - a few


def milestones(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Yield every reply that this record gives cause for, in order; *approvers* are mentions."""
    yield from _on_the_way(rotation)
    yield from _asking(rotation, approvers)
    yield from _ending(rotation)


def _on_the_way(rotation: Rotation) -> Iterator[Reply]:
    done, attempt = rotation.done, rotation.attempt
    if rotation.track is Track.FORWARD and "replace" in done:
        key = code(rotation.replacement_id or "")
        yield _reply(
            f"created:{attempt}", f"Replacement {key} created, with the settings of the old key. No model uses it yet."
        )
    if rotation.track is Track.FORWARD and "cut-over" in done:
        yield _reply(f"moved:{attempt}:{_moved_at(rotation)}", _moved(rotation))
    if rotation.verified_at and "verify" in done:
        text = f"Verified with live requests: {words.tally(rotation)}."
        yield _reply(f"verified:{rotation.verified_at.isoformat()}", text)
    if rotation.state is State.BLOCKED and rotation.stop:
        who = f"<@{rotation.requested_by}>"
        yield _reply(f"stopped:{rotation.stop.at.isoformat()}", f"{who} Stopped: {words.stopped(rotation)}")


def _moved_at(rotation: Rotation) -> str:
    return max((f.moved_at.isoformat() for f in rotation.findings.values() if f.moved_at), default="")


def _moved(rotation: Rotation) -> str:
    moments = [f.moved_at for f in rotation.findings.values() if f.moved_at]
    models = f"{len(rotation.moved)} of {plural(len(rotation.plan.models), 'model')} moved"
    seconds = (max(moments) - min(moments)).total_seconds() if moments else 0
    took = f" in {seconds:.1f} s" if seconds >= 0.1 else ""  # noqa: PLR2004 - below, the figure says nothing
    return (
        f"{models}{took}. If anything looks wrong, <@{rotation.requested_by}> or an approver can press *Roll back*; "
        "both keys are still there."
    )


def _asking(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    if rotation.asked_at is None:
        return
    text = f"Approval wanted from {approvers}: *Delete old key* on the card. {words.tally(rotation)}."
    yield _reply(f"approval:{rotation.asked_at.isoformat()}", text)
    if rotation.reminded_at and rotation.state is State.AWAITING_APPROVAL:
        text = f"Still waiting for {approvers}: *Delete old key* or *Roll back* on the card."
        yield _reply(f"reminder:{rotation.reminded_at.isoformat()}", text)


def _ending(rotation: Rotation) -> Iterator[Reply]:
    if rotation.deleted_at:
        key = code(rotation.plan.old_key.id)
        yield _reply("deleted", f"Old key {key} deleted, approved by {words.approvers(rotation)}.")
    if rotation.state is State.COMPLETED:
        yield "receipt", receipt(rotation)
    if rotation.state is State.ROLLED_BACK:
        text = f"Rolled back by <@{rotation.ended_by}>: {words.next_move(rotation)}"
        yield _reply("rolled-back", text)


def _reply(key: str, text: str) -> Reply:
    return key, message(text, [section(text)])


def receipt(rotation: Rotation) -> dict[str, object]:
    """Render the record of a rotation that is over."""
    lines = list(_receipt_lines(rotation))
    models = list(_model_lines(rotation))
    blocks = [section("*Receipt*\n" + "\n".join(lines)), *chunked(models), section(f"*{words.REVOKE}*")]
    return message(f"Receipt. {' '.join(lines)} {words.REVOKE}", blocks)


def _receipt_lines(rotation: Rotation) -> Iterator[str]:
    old, new = rotation.plan.old_key, rotation.replacement
    assert new is not None
    yield f"Replaced {code(old.display_name)} ({code(old.id)}) by {code(new.name)} ({code(new.key_id or '')})."
    yield f"Asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}."
    yield "Approved by " + ", ".join(f"<@{a.by}>, {when(a.at)}" for a in rotation.approvals) + "."
    if rotation.deleted_at:
        yield f"Old key deleted {when(rotation.deleted_at)}."
    if rotation.started_at and rotation.ended_at:
        yield f"From the secret to the end: {duration((rotation.ended_at - rotation.started_at).total_seconds())}."
    yield f"{rotation.extent}: {words.tally(rotation)}." if rotation.plan.models else "No model used the key."
    if rotation.attempt > 1:
        yield f"{plural(rotation.attempt, 'secret')} given; the earlier ones were taken back."
    if rotation.left_alone:
        yield words.left_alone(rotation)


def duration(seconds: float) -> str:
    """Say a length of time in the two units that matter."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"


def _model_lines(rotation: Rotation) -> Iterator[str]:
    for model in rotation.plan.models:
        finding = rotation.finding(model)
        moved = f", moved {when(finding.moved_at)}" if finding.moved_at else ""
        seen = f", last asked {when(finding.latest.at)}" if finding.latest else ""
        reason = escaped(shortened(words.why(finding), 200))
        name = f"{code(model.alias)} in {escaped(visible(model.environment_name))}"
        yield f"• {name}: *{words.verdict(finding)}*, {reason}{moved}{seen}"


def chunked(lines: list[str], most_blocks: int = 45, most: int = 2800) -> list[Block]:
    """Put *lines* into as few paragraphs as hold them; what is too much for one message is counted."""
    paragraphs = [""]
    for number, line in enumerate(lines):
        if len(paragraphs[-1]) + len(line) + 1 <= most:
            paragraphs[-1] += ("\n" if paragraphs[-1] else "") + line
        elif len(paragraphs) < most_blocks:
            paragraphs.append(shortened(line, most))
        else:
            return [*map(section, paragraphs), context(f"and {len(lines) - number} more")]
    return [section(paragraph) for paragraph in paragraphs if paragraph]


def listing(rows: list[tuple[str, ...]]) -> dict[str, object]:
    """Render the models that the card's table could not hold."""
    lines = [" · ".join((code(row[0]), *(escaped(visible(cell)) for cell in row[1:]))) for row in rows]
    title = f"{plural(len(rows), 'more model')} that the card has no room for:"
    return message(f"{title} {', '.join(escaped(visible(row[0])) for row in rows)}", [section(title), *chunked(lines)])
