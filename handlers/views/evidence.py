"""Show the evidence to the person who decides about the delete: verdicts, old-key usage, callers, soak."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta

from bot.rotation.attention import is_watched
from bot.rotation.counted import OldKeyUsage
from bot.rotation.finding import Finding
from bot.rotation.labels import NEED, Label, label_of
from bot.rotation.old_key import Deaf, Usage, counts_now, usage_of
from bot.rotation.plan import plural
from bot.rotation.proof import is_accepted
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from handlers.views import watch
from handlers.views.blocks import code, duration, sentence, when

LEGEND: Mapping[Label, str] = {
    Label.REJECTED: "refused on the new key",
    Label.INVALID: "answered, but not in a way that says anything for the new secret",
    Label.PROJECTION: "the gateway is not synced",
    Label.INCONCLUSIVE: "says nothing about the new secret, for or against",
    Label.ACCEPTED: "nothing proves it; an approver accepted it by name",
    Label.AS_BEFORE: "fails as it did on the old key",
    Label.NOT_PROBED: "not asked, because the settings say skip",
    Label.MOVED: "points at the replacement; not asked yet",
    Label.NOT_MOVED: "still on the old key",
    Label.LIKELY: (
        "answered live, several times in a row, after the change was seen at the gateways; "
        "their counters do not prove which key served it"
    ),
    Label.PROVED: (
        "the gateways' own counters show that the replacement served it, and the old key did not, on every replica"
    ),
}
"""What each label means."""


def why(finding: Finding) -> str:
    """Give the reason for a verdict, without mentions: a table cannot show them."""
    reason = finding.current.reason if finding.current else "–"
    match label_of(finding):
        case Label.AS_BEFORE:
            return f"failed on the old key too, not our doing: {reason}"
        case Label.ACCEPTED if finding.accepted:
            return f"an approver accepted it: {finding.accepted.reason}"
        case Label.NOT_PROBED:
            return "the settings say skip"
        case _:
            return reason


def asked_at(finding: Finding) -> str:
    """Say in UTC when a model was last probed: a table cell cannot show local times."""
    return f"{finding.latest.at:%H:%M} UTC" if finding.latest and not finding.latest.skipped else "–"


def tally(rotation: Rotation) -> str:
    """Count the verdicts on the moved models: "11 proved · 1 as before"."""
    return (
        counted(label_of(rotation.finding(model)) for model in rotation.moved)
        or "no model to verify: nothing proves the new secret"
    )


def counted(labels: Iterable[Label]) -> str:
    """Count each of *labels*, the best first."""
    counts = Counter(labels)
    return " · ".join(f"{counts[label]:,} {label}" for label in sorted(counts, key=NEED.__getitem__, reverse=True))


def legend(rotation: Rotation) -> str:
    """Explain the verdicts that this card shows."""
    shown = {label_of(rotation.finding(model)) for model in rotation.plan.models}
    return " · ".join(f"*{label}*: {meaning}" for label, meaning in LEGEND.items() if label in shown)


Fact = Callable[[Rotation], str]


def facts(rotation: Rotation) -> list[str]:
    """Return the facts for a card in this state, one line each."""
    if rotation.state is State.BLOCKED and not (rotation.moved and rotation.track is Track.FORWARD):
        return []
    told = IN_WATCH if is_watched(rotation) else FACTS.get(rotation.state, ())
    return [line for fact in told if (line := fact(rotation))]


def _verdicts(rotation: Rotation) -> str:
    if rotation.moved and not any(rotation.finding(model).current for model in rotation.moved):
        return ""
    if not rotation.moved and is_accepted(rotation):  # the line about that says why nothing is proved
        return ""
    said = tally(rotation)
    return f"{said[:1].upper()}{said[1:]}."


def _known_silence(rotation: Rotation) -> str:
    return silence(rotation) if rotation.silences else ""


def silence(rotation: Rotation) -> str:
    """Say when the old key was last used, once nothing should use it."""
    if not (rotation.moved and rotation.all_moved):
        return ""
    if not rotation.silences:
        if rotation.deleted_at:
            return "Couldn't tell whether the old key was still used: no status address showed the gateways' counters."
        return "Can't tell whether the old key is still used: no status address shows the gateways' counters."
    usage = usage_of(rotation)
    said = _last_use(usage.last) if usage.last else _no_use(usage)
    deaf = ", ".join(map(_place_of, usage.deaf[:5]))
    unseen = f" Can't tell {deaf}." if deaf else ""
    return f"Old key: {said}.{unseen}"


def against(rotation: Rotation) -> Iterator[str]:
    """Yield what speaks against the delete; approvers must read it before they press the button."""
    if usage_of(rotation).is_in_use:
        yield "The old key is still in use: deleting it would fail those requests. Find what still uses it first."
    failed = rotation.tally.failed if rotation.tally else 0
    if failed:
        yield f"{plural(failed, 'caller request')} failed since the change. Find out why before you delete the old key."


def _last_use(last: OldKeyUsage) -> str:
    assert last.heard_at is not None
    where = f"on {code(last.name)}{_by(last)}"
    if counts_now(last):
        return f"*still in use*. A request on it was counted at the last look, {when(last.heard_at)}, {where}"
    return f"last request on it {when(last.heard_at)} {where}; none since, looked at {when(last.looked_at)}"


def _by(last: OldKeyUsage) -> str:
    """Name what used the old key, as far as the counters say."""
    named = sentence(", ".join(last.about), 200)
    return f" ({named})" if named else ""


def _no_use(usage: Usage) -> str:
    replicas, since = plural(usage.replicas, "replica"), when(usage.since) if usage.since else "the change"
    return f"no request on {usage.listening:,} of {replicas} since {since}"


def _place_of(deaf: Deaf) -> str:
    """Name the replica or environment whose counters cannot be read."""
    return f"on {code(deaf.replica)}" if deaf.replica else f"in {code(deaf.environment)}"


def callers(rotation: Rotation) -> str:
    """Count answered and failed requests of callers; empty without counters."""
    if rotation.tally is None:
        return ""
    met = rotation.tally
    failed = f"{met.failed:,} failed"
    figures = [f"{met.answered:,} answered", f"*{failed}*" if met.failed else failed]
    if met.limited:
        figures.append(f"{met.limited:,} turned away by rate limits")
    return f"Callers since the change: {', '.join(figures)}."


NOTICEABLE = timedelta(seconds=1)


def soaked(rotation: Rotation) -> str:
    """Say how long all was well before an approver was asked."""
    since, until = rotation.well_since or rotation.verified_at, rotation.asked_at
    if since is None or until is None or until - since <= NOTICEABLE:
        return ""
    return f"All well for {duration(until - since)} before approval was asked for."


def accepted(rotation: Rotation) -> str:
    """Say what approvers accepted without proof."""
    return " ".join(filter(None, [_all_accepted(rotation), _models_accepted(rotation)]))


def _all_accepted(rotation: Rotation) -> str:
    word = rotation.accepted
    if word is None or not is_accepted(rotation):
        return ""
    return f"{sentence(word.of, 600)} <@{word.by}> accepted that: {code(word.reason, 300)}."


def _models_accepted(rotation: Rotation) -> str:
    words = [f.accepted for m in rotation.moved if (f := rotation.finding(m)).is_accepted and f.accepted]
    people = ", ".join(dict.fromkeys(f"<@{word.by}>" for word in words))
    return f"{plural(len(words), 'model')} accepted unproved by {people}." if words else ""


FACTS: Mapping[State, tuple[Fact, ...]] = {
    State.BLOCKED: (_verdicts, _known_silence, callers),
    State.AWAITING_APPROVAL: (_verdicts, silence, callers, soaked, accepted),
    State.COMPLETED: (_verdicts, callers, accepted, watch.summary),
}
"""The facts that a card shows, by state."""

IN_WATCH: tuple[Fact, ...] = (_verdicts, callers, accepted)


def unrehearsed(rotation: Rotation) -> str:
    """Say that there was no rehearsal, and which model tries the secret first; empty if there was one."""
    if not rotation.unrehearsed:
        return ""
    why_not = rotation.unrehearsed.rstrip(".")
    tries = "moved was" if rotation.moved else "moves will be"
    first = f" The first model that {tries} the first to try it." if rotation.plan.models else ""
    return f"The new secret was not rehearsed: {why_not}.{first}"


def adopted(rotation: Rotation) -> str:
    """Say that the record was lost and rebuilt, and what is unknown therefore; empty if it was not."""
    if not rotation.adopted_at:
        return ""
    return (
        f"The record was lost and rebuilt {when(rotation.adopted_at)} from what AISIX showed. What came before is "
        f"not known. The person who rebuilt it named <@{rotation.requested_by}> as the requester."
    )


def in_doubt(rotation: Rotation) -> str:
    """Say that the new secret may equal the old one; empty if fingerprints showed otherwise."""
    if rotation.same_secret_checked or rotation.plan.old_key_gone:
        return ""
    return (
        "I cannot tell whether the new secret differs from the one in use: if it is the same, revoking the old one "
        "will stop the new one as well."
    )
