"""The receipt: the lasting summary of a rotation, posted after the delete and edited when the watch ends."""

from collections.abc import Iterable, Iterator

from bot.rotation.attention import open_troubles
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.labels import WORKS, Label, label_of
from bot.rotation.plan import AffectedModel
from bot.rotation.proof import is_accepted
from bot.rotation.record import Approval, Rotation
from handlers.views import evidence, exposure, minting, revoking, watch, words
from handlers.views.blocks import code, cut, duration, escaped, minute, sentence, shortened, when
from handlers.views.export import name_of
from handlers.views.links import NOWHERE, Places, revoked_at, ticket
from handlers.views.replies import Reply, few, named, parted
from handlers.views.ways import way


def receipt(rotation: Rotation, places: Places = NOWHERE, *, attached: bool = False) -> Iterator[Reply]:
    """Summarize a rotation whose old key is gone; its last line is never cut. An *attached* file lists the models."""
    lines = list(_lines(rotation, places))
    models = _exceptions(rotation) if attached else list(_model_lines(rotation))
    revoke = f"{revoking.still_works(rotation)}: revoke it there{revoking.due(rotation)}."
    if rotation.revocation and (not rotation.is_owed or rotation.revocation.there):
        revoke = revoking.task(rotation)
    elif too := revoking.also(rotation):
        revoke = f"{revoke} {too}"
    text = f"Receipt. {cut(' '.join(lines), 3600)} {revoke}"
    page = revoked_at(rotation)
    last = f"*{revoke}*{f' <{page.url}|Open its key page>' if page else ''}"
    yield from parted(
        "receipt", text, ["*Receipt*", *lines, *models, last], _edition(rotation), frozenset({rotation.requested_by})
    )


def _edition(rotation: Rotation) -> str:
    """Identify what is worth an edit: the counts of each watch check can wait until the watch ends.

    Once it has ended, the head of the audit trail changes with each word about the task.
    """
    head = f"/{rotation.is_owed}/{rotation.is_over and rotation.audit_head}" if rotation.revocation else ""
    reviewed = "/reviewed" if rotation.review else ""
    return f"{rotation.state}/{len(rotation.troubles)}{head}{reviewed}"


def _lines(rotation: Rotation, places: Places) -> Iterator[str]:
    yield from _people(rotation, places)
    yield from _times(rotation)
    yield _proof(rotation) if rotation.plan.models else "No model used the key."
    if rotation.accepted and is_accepted(rotation):
        yield f"Accepted {vouched(rotation.accepted)}: {sentence(rotation.accepted.of, 600)}"
    yield from filter(None, (fact(rotation) for fact in KNOWN))
    earlier = rotation.attempt - 1
    if earlier > 0:
        were = "the first one was" if earlier == 1 else "the earlier ones were"
        yield f"{rotation.attempt:,} secrets given; {were} taken back."
    if rotation.left_alone:
        yield from words.left_alone(rotation)


def _proof(rotation: Rotation) -> str:
    """Count what is proved, and name what is not: "500 of 500 models in 2 environments proved; exceptions: none."."""
    labels = [label_of(rotation.finding(model)) for model in rotation.plan.models]
    likely = labels.count(Label.LIKELY)
    also = f", {likely:,} likely" if likely else ""
    exceptions = evidence.counted(label for label in labels if label not in WORKS) or "none"
    before = "When the old key was deleted: " if open_troubles(rotation) else ""
    return f"{before}{labels.count(Label.PROVED):,} of {rotation.extent} proved{also}; exceptions: {exceptions}."


KNOWN = (
    evidence.adopted,
    evidence.silence,
    evidence.callers,
    evidence.soaked,
    evidence.unrehearsed,
)
"""The facts from the card that the receipt keeps."""


def _people(rotation: Rotation, places: Places) -> Iterator[str]:
    old, new = rotation.plan.old_key, rotation.replacement
    assert new is not None
    yield f"Replaced {code(old.display_name)} ({code(old.id)}) with {code(new.name)} ({code(new.key_id or '')})."
    yield f"The new secret came by {way(rotation)}."
    yield from minting.facts(rotation)
    yield f"Asked for by <@{rotation.requested_by}>, {when(rotation.requested_at)}."
    if rotation.why:
        yield f"Reason: {code(rotation.why, 300)}."
    if rotation.ticket:
        yield f"Ticket: {ticket(rotation, places)}."
    for void in rotation.voids:
        people = "" if void.lapsed else " of " + ", ".join(f"<@{who}>" for who in void.by)
        yield f"Approval{people} void, {when(void.at)}: {words.changed(void)}"
    yield from exposure.facts(rotation)
    yield "Approved by " + ", ".join(map(_approved, rotation.approvals)) + "."


def _approved(given: Approval) -> str:
    because = f", because {code(given.reason, 300)}" if given.reason else ""
    return f"<@{given.by}>, {when(given.at)}{because}"


def _times(rotation: Rotation) -> Iterator[str]:
    if rotation.deleted_at:
        yield f"Old key deleted {when(rotation.deleted_at)}."
    if rotation.audit_head:
        far = "so far" if rotation.is_owed or not rotation.is_over else "at the end"
        yield f"Head of the audit trail {far}: {code(rotation.audit_head)}."
    if rotation.started_at and rotation.deleted_at:
        yield f"From the first secret to the delete: {duration(rotation.deleted_at - rotation.started_at)}."
    yield from watch.result(rotation)


def _model_lines(rotation: Rotation) -> Iterator[str]:
    """Group the models by what there is to say about them, with times to the minute."""
    for said, aliases in _grouped(rotation.plan.models, rotation).items():
        yield from named(f"• {said}: ", aliases)


def _exceptions(rotation: Rotation) -> list[str]:
    """Name the models that nothing proves, as many as have room beside the file that has all."""
    models = [model for model in rotation.plan.models if label_of(rotation.finding(model)) not in WORKS]
    lines = [
        f"• {said}: {few([*map(code, aliases)], NAMED_MOST)}" for said, aliases in _grouped(models, rotation).items()
    ]
    more = [f"and {len(lines) - GROUPS_MOST:,} more reasons"] if len(lines) > GROUPS_MOST else []
    return [
        *lines[:GROUPS_MOST],
        *more,
        f"Every model, with its reason and last test: {code(name_of(rotation))} above.",
    ]


GROUPS_MOST, NAMED_MOST = 8, 20
"""Reasons that a receipt with a file tells, and models that it names for each."""


def _grouped(models: Iterable[AffectedModel], rotation: Rotation) -> dict[str, list[str]]:
    same: dict[str, list[str]] = {}
    for model in models:
        same.setdefault(_said(model, rotation.finding(model)), []).append(model.alias)
    return same


def _said(model: AffectedModel, finding: Finding) -> str:
    moved = f", moved {minute(finding.moved_at)}" if finding.moved_at else ""
    seen = f", last test {minute(finding.latest.at)}" if finding.latest and not finding.latest.skipped else ""
    return f"*{evidence.LABELS[label_of(finding)]}* in {code(model.environment_name)}, {_reason(finding)}{moved}{seen}"


def _reason(finding: Finding) -> str:
    if finding.accepted and finding.current and finding.is_accepted:
        return f"{vouched(finding.accepted)}, although {escaped(shortened(finding.current.reason, 200))}"
    return escaped(shortened(evidence.why(finding), 200))


def vouched(word: Acceptance) -> str:
    """Say who accepted something unproved, when and why."""
    return f"by <@{word.by}>, {when(word.at)}, because {code(word.reason, 300)}"
