"""The thread under a card: one checklist, a short reply at each milestone, the receipt."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from bot.evidence import Verdict
from bot.plan import AffectedModel, plural
from bot.rotation import Finding, Rotation, State, Track
from bot.steps import next_step, steps_of
from bot.steps.common import Step
from handlers.views import words
from handlers.views.blocks import (
    MESSAGE_MOST,
    Block,
    code,
    escaped,
    message,
    section,
    sentence,
    shortened,
    visible,
    weight,
    when,
)
from handlers.views.card import Row, unlisted

QUIET = frozenset({"tidy", "soak", "settle-back"})
"""Steps that are shown only while they go on: mostly there is nothing to do."""

Reply = tuple[str, dict[str, object]]
"""A milestone's key, under which it is told once, and its message."""


def checklist(rotation: Rotation) -> dict[str, object]:
    """Render where the rotation is among its steps."""
    lines = list(_lines(rotation))
    state = sentence(words.headline(rotation), 300)
    return message(f"Steps, {state}: {'; '.join(lines)}", [section("\n".join(lines))])


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
    detail = DETAILS.get(step.name, _nothing)(rotation)
    if step.name in rotation.done:
        return f"✔ *{step.title}*{f'   {detail}' if detail else ''}"
    if current and rotation.state is State.BLOCKED and rotation.stop:
        return f"■ *{_doing(step)}*   {sentence(rotation.stop.headline, 300)}"
    if current and rotation.waits_for_bot:
        return f"◔ *{_doing(step)}*{f'   {sentence(rotation.note, 300)}' if rotation.note else ''}"
    return f"· {step.title}"


def _doing(step: Step) -> str:
    return step.doing[:1].upper() + step.doing[1:]


def _approval_line(rotation: Rotation) -> str:
    given, wanted = len(rotation.approvals), rotation.approvals_required
    if given >= wanted:
        return f"✔ *Approval*   {words.approvers(rotation)}"
    if rotation.state is State.AWAITING_APPROVAL:
        return f"◔ *Waiting for approval*{f'   {given} of {wanted}' if wanted > 1 else ''}"
    return "· Approval"


def baseline(rotation: Rotation) -> str:
    """Say how the models did on the old key."""
    seen = [(m, f.baseline) for m in rotation.plan.models if (f := rotation.finding(m)).baseline]
    asked = [(m, e) for m, e in seen if e.verdict is not Verdict.SKIPPED]
    failing = [m.alias for m, e in asked if not e.passed]
    left = len(rotation.plan.models) - len(asked)
    parts = [
        f"{len(asked) - len(failing):,} of {plural(len(asked), 'model')} answered on the old key" if asked else "",
        f"{_few(failing)} did not before we began" if failing else "",
        f"{left:,} not asked" if left else "",
    ]
    return "; ".join(filter(None, parts))


def _few(aliases: list[str], most: int = 5) -> str:
    more = len(aliases) - most
    return ", ".join(map(code, aliases[:most])) + (f" and {more:,} more" if more > 0 else "")


def _moved_so_far(rotation: Rotation) -> str:
    return f"{len(rotation.moved):,} of {len(rotation.plan.models):,}" if rotation.plan.models else ""


def _nothing(_: Rotation) -> str:
    return ""


DETAILS: Mapping[str, Callable[[Rotation], str]] = {
    "replace": lambda rotation: f"{code(rotation.replacement_id or '')} has the same settings as the old key",
    "baseline": baseline,
    "rehearse": lambda rotation: sentence(rotation.rehearsal or ""),
    "cut-over": _moved_so_far,
    "verify": words.tally,
    "point-back": lambda rotation: "" if rotation.moved else "none had been moved",
}
"""What a finished step came to, by its name; most need no word."""


def milestones(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Yield every reply that this record gives cause for, in order; *approvers* are mentions."""
    yield from listings(rotation)
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
    if rotation.track is Track.FORWARD and "rehearse" in done and rotation.rehearsal:
        yield _reply(f"rehearsed:{attempt}", f"Rehearsal: {sentence(rotation.rehearsal)}.")
    if rotation.track is Track.FORWARD and "cut-over" in done and rotation.plan.models:
        yield _reply(f"moved:{attempt}:{_moved_at(rotation)}", _moved(rotation))
    if rotation.verified_at and "verify" in done and rotation.plan.models:
        text = f"Verified with live requests: {words.tally(rotation)}."
        yield _reply(f"verified:{rotation.verified_at.isoformat()}", text)
    if rotation.state is State.BLOCKED and rotation.stop:
        who = f"<@{rotation.requested_by}>"
        text = f"{who} Stopped: {sentence(rotation.stop.headline, 300)}.\n{words.stopped(rotation)}"
        yield _reply(f"stopped:{rotation.stop.at.isoformat()}", text)


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
    other = "" if rotation.self_approval else f", not from <@{rotation.requested_by}>, who asked"
    text = f"Approval wanted from {approvers}{other}: *Delete old key* on the card. {words.tally(rotation)}."
    yield _reply(f"approval:{rotation.asked_at.isoformat()}", text)
    if rotation.reminded_at and rotation.state is State.AWAITING_APPROVAL:
        text = f"Still waiting for {approvers}: *Delete old key* or *Roll back* on the card."
        yield _reply(f"reminder:{rotation.reminded_at.isoformat()}", text)


def _ending(rotation: Rotation) -> Iterator[Reply]:
    if rotation.deleted_at:
        key = code(rotation.plan.old_key.id)
        yield _reply("deleted", f"Old key {key} deleted, approved by {words.approvers(rotation)}.")
    if rotation.state is State.COMPLETED:
        yield from receipt(rotation)
    if rotation.state is State.ROLLED_BACK:
        text = f"Rolled back by <@{rotation.ended_by}>. {words.next_move(rotation)}"
        yield _reply("rolled-back", text)


def _reply(key: str, text: str) -> Reply:
    return key, message(text, [section(text)])


def receipt(rotation: Rotation) -> Iterator[Reply]:
    """Render the record of a rotation that is over; its last line is never left out."""
    lines = list(_receipt_lines(rotation))
    head, foot = "*Receipt*\n" + "\n".join(lines), f"*{words.REVOKE}*"
    text = f"Receipt. {' '.join(lines)} {words.REVOKE}"
    yield from _parted("receipt", text, [head, *_model_lines(rotation), foot])


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
    """Say it once for all models of which the same is to be said, to the minute."""
    same: dict[str, list[str]] = {}
    for model in rotation.plan.models:
        same.setdefault(_said(model, rotation.finding(model)), []).append(model.alias)
    for said, aliases in same.items():
        yield from _named(f"• {said}: ", aliases)


def _said(model: AffectedModel, finding: Finding) -> str:
    moved = f", moved {when(_minute(finding.moved_at))}" if finding.moved_at else ""
    seen = f", last asked {when(_minute(finding.latest.at))}" if finding.latest else ""
    reason = escaped(shortened(words.why(finding), 200))
    return f"*{words.verdict(finding)}* in {code(model.environment_name)}, {reason}{moved}{seen}"


def _minute(moment: datetime) -> datetime:
    """Cut to what a reader is shown of a time anyway."""
    return moment.replace(second=0, microsecond=0)


def _named(said: str, names: list[str], most: int = 2500) -> Iterator[str]:
    """Yield lines of up to *most* characters that say the same of all *names*."""
    line = said
    for name in map(code, names):
        if len(line) + len(name) > most:
            yield line.removesuffix(", ")
            line = said
        line += f"{name}, "
    yield line.removesuffix(", ")


def _parted(key: str, text: str, lines: list[str]) -> Iterator[Reply]:
    """Put *lines* into paragraphs, and these into as few messages as hold them."""
    for number, blocks in enumerate(_messages(_paragraphs(lines)), start=1):
        yield (key, message(text, blocks)) if number == 1 else (f"{key}:{number}", message(_goes_on(key), blocks))


def _goes_on(key: str) -> str:
    return f"The {key} goes on."


def _paragraphs(lines: list[str], most: int = 2800) -> list[str]:
    paragraphs: list[str] = []
    for line in lines:
        if paragraphs and len(paragraphs[-1]) + len(line) + 1 <= most:
            paragraphs[-1] += f"\n{line}"
        else:
            paragraphs.append(line)
    return paragraphs


def _messages(paragraphs: list[str]) -> list[list[Block]]:
    parts: list[list[Block]] = [[]]
    for block in map(section, paragraphs):
        if parts[-1] and weight([*parts[-1], block]) > MESSAGE_MOST:
            parts.append([])
        parts[-1].append(block)
    return parts


def listings(rotation: Rotation) -> Iterator[Reply]:
    """Yield the models where the card has no room for all of them."""
    rows = unlisted(rotation)
    if rows:
        yield from _listed(rows)


def listing(rows: list[Row]) -> dict[str, object]:
    """Render the first message that lists *rows*; most need no second."""
    return next(content for _, content in _listed(rows))


def _listed(rows: list[Row]) -> Iterator[Reply]:
    same: dict[Row, list[str]] = {}
    for alias, *said in rows:
        same.setdefault(tuple(said), []).append(alias)
    lines = [line for said, names in same.items() for line in _named(f"• {' · '.join(map(code, said))}: ", names)]
    title = f"All {plural(len(rows), 'model')} that this is about"
    aliases = ", ".join(escaped(visible(alias)) for alias, *_ in rows)
    yield from _parted("listing", f"{title}: {aliases}", [f"{title}:", *lines])
