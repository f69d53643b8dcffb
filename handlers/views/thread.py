"""The thread under a card: one checklist, a short reply at each milestone, the receipt."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

from bot.rotation.attention import open_troubles
from bot.rotation.evidence import Verdict
from bot.rotation.exposure import uses
from bot.rotation.flags import PROVES_NOTHING
from bot.rotation.labels import WORKS, label_of
from bot.rotation.nudges import is_hushed, is_watch_told
from bot.rotation.plan import AffectedModel, plural
from bot.rotation.progress import next_step, steps_of
from bot.rotation.record import Rotation, Trouble, Void
from bot.rotation.states import WAVE_STEPS, State, Step, StepName
from handlers.views import alarm, approving, evidence, exposure, pushes, summary, watch, words
from handlers.views.blocks import STATUS_MARKS, Block, code, escaped, message, rich, sentence, visible
from handlers.views.links import NOWHERE, Places
from handlers.views.pushes import key_of as _key
from handlers.views.receipt import receipt, vouched
from handlers.views.replies import PERSON, Reply, few, named, parted, reply
from handlers.views.talk import talk

if TYPE_CHECKING:
    from datetime import datetime

    from bot.rotation.finding import Acceptance

QUIET = frozenset({StepName.TIDY, StepName.SOAK, StepName.SETTLE_BACK})
"""Steps that are shown only while they run: mostly they have nothing to do."""


class Task(NamedTuple):
    """One line of the checklist."""

    status: str
    title: str
    detail: str = ""


def checklist(rotation: Rotation) -> dict[str, object]:
    """Render the list of steps with the current one."""
    tasks = list(_tasks(rotation))
    state = visible(words.headline(rotation), 150)
    said = "; ".join(f"{STATUS_MARKS[task.status]} {task.title}" for task in tasks)
    return message(f"Steps, {escaped(state)}: {escaped(said)}", [_plan(state, tasks)])


def _plan(title: str, tasks: list[Task]) -> Block:
    return {"type": "plan", "title": title, "tasks": [_card(n, task) for n, task in enumerate(tasks, start=1)]}


def _card(number: int, task: Task) -> Block:
    block: Block = {"type": "task_card", "task_id": f"s{number}", "title": task.title, "status": task.status}
    return block | ({"details": rich(task.detail)} if task.detail.strip("*") else {})


def _tasks(rotation: Rotation) -> Iterator[Task]:
    current = next_step(rotation)
    asked = False
    for step in steps_of(rotation):
        if step.gated and not asked:
            asked = True
            yield _approval(rotation)
        if step.name is StepName.CUT_OVER and rotation.policy.start:
            yield _start(rotation)
        if _is_shown(step, current, rotation):
            yield _task(step, current, rotation)


def _task(step: Step, current: Step | None, rotation: Rotation) -> Task:
    detail = DETAILS.get(step.name, _nothing)(rotation)
    if step is current and rotation.stop and _is_stopped(rotation):
        return Task("error", _doing(step), sentence(rotation.stop.headline, 300))
    if step is current and rotation.waits_for_bot:
        return Task("in_progress", _doing(step), _progress(step, rotation))
    if _has_more_waves(step, rotation):
        return Task("in_progress", step.title, detail)
    done = step.name in rotation.done or (step.name is StepName.DELETE and rotation.plan.old_key_gone)
    return Task("complete", _finished(step, rotation), detail) if done else Task("pending", step.title)


def _finished(step: Step, rotation: Rotation) -> str:
    """Name a step that is over: a rehearsal that was not possible is none."""
    return "Not rehearsed" if step.name is StepName.REHEARSE and rotation.unrehearsed else step.title


def _is_shown(step: Step, current: Step | None, rotation: Rotation) -> bool:
    if step.name is StepName.WATCH and step.name in rotation.done:
        return rotation.watched > 0
    return step.name not in QUIET or (step is current and (rotation.waits_for_bot or _is_stopped(rotation)))


def _is_stopped(rotation: Rotation) -> bool:
    return rotation.state is State.BLOCKED


def _progress(step: Step, rotation: Rotation) -> str:
    """Return the step's own note, unless its title already says it, and how long it may take."""
    said = sentence(rotation.note, 300) if rotation.note and not step.doing.startswith(rotation.note) else ""
    left = _time_left(rotation) if step.name is StepName.CUT_OVER else ""
    return ", ".join(filter(None, [said, left]))


def _time_left(rotation: Rotation) -> str:
    """Estimate from the moves so far how long the others take."""
    moments = sorted(f.moved_at for f in rotation.findings.values() if f.moved_at)
    left = len(rotation.plan.models) - len(moments)
    if len(moments) < FEW or not left:
        return ""
    return f"about {max(1, round((moments[-1] - moments[0]).total_seconds() / (len(moments) - 1) * left))} s left"


FEW = 10
"""With fewer moves, a guess of the time left is none."""


def _has_more_waves(step: Step, rotation: Rotation) -> bool:
    """Tell whether a step that has run must run again for a later wave."""
    begun = rotation.wave > 0 or step.name in rotation.done
    return step.name in WAVE_STEPS and begun and not rotation.all_moved


def _doing(step: Step) -> str:
    return step.doing[:1].upper() + step.doing[1:]


def _start(rotation: Rotation) -> Task:
    if rotation.state is State.AWAITING_START:
        return Task("in_progress", "Waiting for a start approval")
    if rotation.starts:
        return Task("complete", "Started", f"<@{rotation.starts[-1].by}>")
    return Task("pending", "Start approval")


def _approval(rotation: Rotation) -> Task:
    given, wanted = len(rotation.approvals), rotation.approvals_required
    if not rotation.lacks_approval:
        return Task("complete", "Approval", approving.approvers(rotation))
    if rotation.state is State.AWAITING_APPROVAL:
        return Task("in_progress", "Waiting for approval", f"{given} of {wanted}" if wanted > 1 else "")
    return Task("pending", "Approval")


def baseline(rotation: Rotation) -> str:
    """Say how the models answered on the old key."""
    seen = [(m, f.baseline) for m in rotation.plan.models if (f := rotation.finding(m)).baseline]
    asked = [(m, e) for m, e in seen if e.verdict is not Verdict.SKIPPED]
    failing = [code(m.alias) for m, e in asked if not e.passed]
    left = len(rotation.plan.models) - len(asked)
    parts = [
        f"{len(asked) - len(failing):,} of {plural(len(asked), 'model')} answered on the old key" if asked else "",
        f"{few(failing)} failed before this rotation" if failing else "",
        f"{left:,} not asked" if left else "",
    ]
    return "; ".join(filter(None, parts))


def verified(rotation: Rotation) -> str:
    """Count the moved models by their verdicts, without those that have none which is enough: the card has them."""
    labels = [label_of(rotation.finding(model)) for model in rotation.moved]
    return evidence.counted(label for label in labels if label in ENOUGH) if labels else evidence.tally(rotation)


ENOUGH = WORKS | PROVES_NOTHING
"""Labels of models that a step called verified has behind it."""


def _moved_so_far(rotation: Rotation) -> str:
    return f"{len(rotation.moved):,} of {len(rotation.plan.models):,}" if rotation.plan.models else ""


def _nothing(_: Rotation) -> str:
    return ""


DETAILS: Mapping[StepName, Callable[[Rotation], str]] = {
    StepName.REPLACE: lambda rotation: (
        f"{code((rotation.replacement_id or '')[:8])} has the same settings as the old key"
    ),
    StepName.BASELINE: baseline,
    StepName.REHEARSE: lambda rotation: sentence(rotation.rehearsal or ""),
    StepName.CUT_OVER: _moved_so_far,
    StepName.VERIFY: verified,
    StepName.POINT_BACK: lambda rotation: "" if rotation.moved else "none had been moved",
}
"""The detail that a finished step shows; most show none."""


def milestones(
    rotation: Rotation,
    approvers: str,
    unlisted: Sequence[tuple[str, ...]],
    places: Places = NOWHERE,
    *,
    attached: bool = False,
) -> Iterator[Reply]:
    """Yield every reply for this record, in order.

    *approvers* are mentions; *unlisted* are all models if the card has no room for some of them; *attached* tells
    whether a file in the thread has them all.
    """
    if unlisted:
        yield from _listed(unlisted)
    yield from _on_the_way(rotation, approvers)
    yield from _asking(rotation, approvers)
    if rotation.deleted_at:
        yield from receipt(rotation, places, attached=attached)
    yield from _ending(rotation, approvers)


def _on_the_way(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    yield from _exposed(rotation, approvers)
    yield from _to_start(rotation, approvers)
    yield from _voided(rotation, approvers)
    if rotation.state is State.BLOCKED and rotation.stop:
        who = pushes.called(rotation, approvers)
        text = f"{_key(rotation)} stopped: {sentence(rotation.stop.headline, 300)}. {who}\n{alarm.next_move(rotation)}"
        yield _by_day(f"stopped:{rotation.stop.at.isoformat()}", text, rotation)
    yield from _accepted(rotation)
    yield from pushes.alarmed(rotation, approvers)
    if rotation.parked_at and words.is_parked(rotation):
        text = f"{_key(rotation)} is parked. <@{rotation.requested_by}> {approvers}\n{alarm.next_move(rotation)}"
        yield reply(f"parked:{rotation.parked_at.isoformat()}", text)
    yield from talk(rotation, _key(rotation))


def _to_start(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Ask approvers to start."""
    if rotation.start_asked_at is None:
        return
    key = f"start:{rotation.start_asked_at.isoformat()}"
    approvers = _unless_hushed(approvers, key, rotation)
    again = f"{sentence(rotation.note)} " if rotation.note and rotation.state is State.AWAITING_START else ""
    other = "" if rotation.self_approval else ", not from the requester"
    text = f"{_key(rotation)} is ready to start. {again}Start wanted from {approvers}{other}: *Start* on the card."
    yield _by_day(key, text, rotation)


def _unless_hushed(approvers: str, key: str, rotation: Rotation) -> str:
    return "approvers" if is_hushed(rotation, key) else approvers


def _by_day(key: str, text: str, rotation: Rotation) -> Reply:
    """Build a reply; at night it calls nobody to what can wait, and says so."""
    return reply(key, f"{text}\n{HUSHED}", NOBODY) if is_hushed(rotation, key) else reply(key, text)


HUSHED = "This can wait, so nobody is called now: Keyturn does that when quiet hours are over."


def _exposed(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Tell the approvers of a leak at once; the person who reported it knows."""
    if exposed := rotation.exposed:
        who = f"{_key(rotation)} is exposed, says <@{exposed.by}>. {approvers}"
        asks = frozenset(PERSON.findall(approvers)) - {exposed.by}
        yield reply(f"exposed:{exposed.at.isoformat()}", "\n".join([who, *exposure.lines(rotation)]), asks)
    for use, said in zip(uses(rotation), exposure.attacks(rotation), strict=True):
        yield reply(f"attack:{use.environment}", f"{_key(rotation)}: {said} {approvers}")


def _voided(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    for void in rotation.voids:
        who = " ".join(f"<@{person}>" for person in void.by)
        said = f"{words.not_deleted(rotation, void)}. {words.changed(void, 1200)}"
        text = f"{_key(rotation)}: {said} Verifying again, then you are asked again. {who}"
        yield reply(f"void:{void.at.isoformat()}", _lapsed(void, rotation, approvers) if void.lapsed else text)


def _lapsed(void: Void, rotation: Rotation, approvers: str) -> str:
    """Say which approval no longer counts, and ask for another one if it is still needed."""
    wanted = rotation.state is State.AWAITING_APPROVAL and not void.over
    again = f"\n{_approval_wanted(rotation, approvers)}: *Delete old key* on the card." if wanted else ""
    return f"{_key(rotation)}: {words.not_deleted(rotation, void)}. {words.changed(void, 1200)}{again}"


def _approval_wanted(rotation: Rotation, approvers: str) -> str:
    other = "" if rotation.self_approval else ", not from the requester"
    return f"Approval wanted from {approvers}{other}"


NOBODY = frozenset[str]()


def _accepted(rotation: Rotation) -> Iterator[Reply]:
    """Say who accepted what without proof, one reply per click."""
    if rotation.accepted:
        text = f"Accepted {vouched(rotation.accepted)}: {sentence(rotation.accepted.of, 1200)}"
        yield reply(f"accepted:{rotation.accepted.at.isoformat()}", text, NOBODY)
    said: dict[Acceptance, list[str]] = {}
    for model in rotation.plan.models:
        word = rotation.finding(model).accepted
        if word:
            said.setdefault(word, []).append(_place(model))
    for word, places in said.items():
        text = f"Accepted unproved {vouched(word)}: {few(places)}."
        yield reply(f"accepted:{word.at.isoformat()}", text, NOBODY)


def _place(model: AffectedModel) -> str:
    return f"{code(model.alias)} in {code(model.environment_name)}"


def _asking(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    if rotation.asked_at is None:
        return
    key = f"approval:{rotation.asked_at.isoformat()}"
    approvers = _unless_hushed(approvers, key, rotation)
    wanted = _approval_wanted(rotation, approvers)
    press = "*Delete old key* on the card"
    text = f"{_key(rotation)} is ready to finish: {summary.tally(rotation)}. {wanted}: {press}."
    if wrong := evidence.against(rotation):
        text = f"{_key(rotation)} needs a decision: {wrong[0]} {wanted}: {press}, or *Roll back*."
    yield _by_day(key, text, rotation)


def _ending(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    if rotation.deleted_at:
        yield from _troubles(rotation, approvers)
        yield from _watch_ended(rotation)
    if rotation.state is State.ROLLED_BACK:
        yield _rolled_back(rotation)
    if rotation.state is State.CANCELLED and rotation.ended_by != rotation.requested_by:
        how = f"cancelled by <@{rotation.ended_by}>" if rotation.ended_by else "cancelled"
        text = f"{_key(rotation)} {how}. <@{rotation.requested_by}>\n{alarm.next_move(rotation)}"
        yield reply("cancelled", text, frozenset({rotation.requested_by}))


def _rolled_back(rotation: Rotation) -> Reply:
    """Say who rolled back, and call the requester, unless that was them and nothing is left to do."""
    is_told, then = rotation.ended_by != rotation.requested_by, alarm.next_move(rotation)
    requester = f"<@{rotation.requested_by}>"
    who = f" {requester}" if is_told and requester not in then else ""
    asked = is_told or rotation.left_alone or rotation.is_owed
    text = f"{_key(rotation)} rolled back {pushes.by(rotation)}.{who} {then}"
    told = reply("rolled-back", text, frozenset({rotation.requested_by}) if asked else NOBODY)
    return told._replace(edition="revoked" if rotation.revocation and not rotation.is_owed else "")


def _watch_ended(rotation: Rotation) -> Iterator[Reply]:
    """Tell the requester of the end of a watch: at once while something is wrong, else when people may be called."""
    if rotation.state is not State.COMPLETED or not (open_troubles(rotation) or is_watch_told(rotation)):
        return
    requester, then = f"<@{rotation.requested_by}>", [] if open_troubles(rotation) else [words.then(rotation)]
    who = "" if requester in "".join(then) else f" {requester}"
    over = f"{_key(rotation)}: the watch is over.{who}"
    lines = filter(None, [*([watch.summary(rotation)] if then else []), *watch.wrong_now(rotation), *then])
    yield reply("watch-ended", "\n".join([over, *lines]), frozenset({rotation.requested_by}))


def _troubles(rotation: Rotation, approvers: str) -> Iterator[Reply]:
    """Report what each check of the watch found, and what can still be done."""
    looks: dict[tuple[datetime, bool], list[Trouble]] = {}
    for trouble in rotation.troubles:
        looks.setdefault((trouble.at, trouble.over), []).append(trouble)
    for (at, over), found in looks.items():
        helps = [] if over else [watch.WHAT_HELPS]
        lines = [
            f"{_key(rotation)}, after the delete:{'' if over else f' {pushes.called(rotation, approvers)}'}",
            *watch.listed(found, most=8),
            *helps,
        ]
        yield reply(f"{'well-again' if over else 'trouble'}:{at.isoformat()}", "\n".join(lines))


def _listed(rows: Sequence[tuple[str, ...]]) -> Iterator[Reply]:
    same: dict[tuple[str, ...], list[str]] = {}
    for alias, *said in rows:
        same.setdefault(tuple(said), []).append(alias)
    lines = [line for said, names in same.items() for line in named(f"• {' · '.join(map(code, said))}: ", names)]
    title = f"All {plural(len(rows), 'model')} of this rotation"
    aliases = ", ".join(escaped(visible(alias)) for alias, *_ in rows)
    yield from parted("listing", f"{title}: {aliases}", [f"{title}:", *lines])
