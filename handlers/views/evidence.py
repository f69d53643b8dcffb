"""What the evidence says, for whoever deletes a key on the strength of it: verdicts, silence, callers, soak."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta

from bot.rotation.counted import Silence
from bot.rotation.finding import Finding, was_failing_before
from bot.rotation.plan import plural
from bot.rotation.proof import is_accepted
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from handlers.views import watch
from handlers.views.blocks import code, duration, sentence, when

LEGEND: Mapping[str, str] = {
    "rejected": "refused on the new key",
    "invalid": "answered, but not in a way that says anything for the new secret",
    "projection": "the gateway does not have the change",
    "inconclusive": "says nothing about the new secret, for or against",
    "accepted": "nothing proves it; an approver accepted it by name",
    "as before": "fails as it did on the old key",
    "not probed": "not asked, because the settings say skip",
    "moved": "points at the replacement; not asked yet",
    "not moved": "still on the old key",
    "likely": (
        "answered live, several times in a row, after the change was seen at the gateways; "
        "their counters do not prove which key served it"
    ),
    "proved": (
        "the gateways' own counters show that the replacement served it, and the old key did not, on every replica"
    ),
}
"""What each verdict means; in this order, those that need a look come first."""

NEED = {word: place for place, word in enumerate(LEGEND)}
"""How much a verdict needs a look: the lower, the more."""


def verdict(finding: Finding) -> str:
    """Say in a word or two what is known of a model."""
    if finding.standing is None:
        return "moved" if finding.moved_at else "not moved"
    if was_failing_before(finding):
        return "as before"
    if finding.is_accepted:
        return "accepted"
    return "not probed" if finding.standing.skipped else finding.standing.verdict.value


def why(finding: Finding) -> str:
    """Say why; nobody is mentioned, a table could not show it."""
    if finding.standing is None:
        return "–"
    if was_failing_before(finding):
        return f"failed on the old key too, not our doing: {finding.standing.reason}"
    if finding.accepted and finding.is_accepted:
        return f"an approver accepted it: {finding.accepted.reason}"
    return "the settings say skip" if finding.standing.skipped else finding.standing.reason


def asked_at(finding: Finding) -> str:
    """Say when a model was last asked; a table cell has no times of each reader's own."""
    return f"{finding.latest.at:%H:%M} UTC" if finding.latest else "–"


def tally(rotation: Rotation) -> str:
    """Count the verdicts on what was moved: "11 proved · 1 as before"."""
    return (
        counted(verdict(rotation.finding(model)) for model in rotation.moved)
        or "no model to verify: nothing proves the new secret"
    )


def counted(words: Iterable[str]) -> str:
    """Count each of *words*, the best first."""
    counts = Counter(words)
    return " · ".join(f"{counts[word]:,} {word}" for word in sorted(counts, key=NEED.__getitem__, reverse=True))


def legend(rotation: Rotation) -> str:
    """Explain the verdicts that this card shows."""
    shown = {verdict(rotation.finding(model)) for model in rotation.plan.models}
    return " · ".join(f"*{word}*: {meaning}" for word, meaning in LEGEND.items() if word in shown)


def all_moved(rotation: Rotation) -> bool:
    """Tell whether every model has left the old key; in a cut-over by waves that takes several."""
    return len(rotation.moved) == len(rotation.plan.models)


Fact = Callable[[Rotation], str]


def facts(rotation: Rotation) -> list[str]:
    """Say what there is to know beside the verdicts, a line each."""
    if rotation.state is State.BLOCKED and not (rotation.moved and rotation.track is Track.FORWARD):
        return []
    told = IN_WATCH if watch.is_watched(rotation) else FACTS.get(rotation.state, ())
    return [line for fact in told if (line := fact(rotation))]


def _verdicts(rotation: Rotation) -> str:
    if rotation.moved and not any(rotation.finding(model).standing for model in rotation.moved):
        return ""
    if not rotation.moved and is_accepted(rotation):  # that line says why nothing is proved
        return ""
    said = tally(rotation)
    return f"{said[:1].upper()}{said[1:]}."


def _silence_heard(rotation: Rotation) -> str:
    return silence(rotation) if rotation.silences else ""


def silence(rotation: Rotation) -> str:
    """Say when the old key was last heard of, once nothing should use it."""
    if not (rotation.moved and all_moved(rotation)):
        return ""
    if not rotation.silences:
        if rotation.deleted_at:
            return "Couldn't tell whether the old key was still used: no status address showed the gateways' counters."
        return "Can't tell whether the old key is still used: no status address shows the gateways' counters."
    heard = max((s for s in rotation.silences if s.heard_at), key=lambda s: s.heard_at or s.looked_at, default=None)
    said = _heard(heard) if heard else _unheard(rotation)
    unseen = ", ".join(_unseen(rotation))
    blind = f" Can't tell {unseen}." if unseen else ""
    return f"Old key: {said}.{blind}"


def against(rotation: Rotation) -> Iterator[str]:
    """Yield what speaks against the delete: that has to be read before the button is pressed."""
    if is_in_use(rotation):
        yield "The old key is still in use: deleting it would fail those requests. Find what still uses it first."
    failed = rotation.tally.failed if rotation.tally else 0
    if failed:
        yield f"{plural(failed, 'caller request')} failed since the change. Find out why before you delete the old key."


def is_in_use(rotation: Rotation) -> bool:
    """Tell whether a replica counted a request on the old key at its last look."""
    return any(s.heard_at and s.heard_at >= s.looked_at for s in rotation.silences)


def _heard(last: Silence) -> str:
    assert last.heard_at is not None
    where = f"on {code(last.name)}{_by(last)}"
    if last.heard_at >= last.looked_at:
        return f"*still in use*. A request on it was counted at the last look, {when(last.heard_at)}, {where}"
    return f"last request on it {when(last.heard_at)} {where}; none since, looked at {when(last.looked_at)}"


def _by(last: Silence) -> str:
    """Name what used it, as far as the counters name it."""
    named = sentence(", ".join(last.about), 200)
    return f" ({named})" if named else ""


def _unheard(rotation: Rotation) -> str:
    listening = len(rotation.silences)
    replicas = plural(max(listening, sum(map(len, rotation.looks.values()))), "replica")
    since = _listening_since(rotation)
    return f"no request on {listening:,} of {replicas} since {when(since) if since else 'the change'}"


def _listening_since(rotation: Rotation) -> datetime | None:
    """Return from when on a request on the old key would have been noticed on every replica."""
    looks = [look.at for replicas in rotation.looks.values() for look in replicas.values()]
    return min(filter(None, [rotation.verified_at, max(looks, default=None)]), default=None)


def _unseen(rotation: Rotation, most: int = 5) -> list[str]:
    """Say where nobody listens: replicas without counters, environments without a status address."""
    heard = {(s.environment, s.url) for s in rotation.silences}
    deaf = [look.name for id_, seen in rotation.looks.items() for url, look in seen.items() if (id_, url) not in heard]
    listening = {environment for environment, _ in heard} | set(rotation.looks)
    blind = [name for id_, name in rotation.plan.environments.items() if id_ not in listening]
    return [*(f"on {code(name)}" for name in deaf), *(f"in {code(name)}" for name in blind)][:most]


def callers(rotation: Rotation) -> str:
    """Say what callers have met; nothing where no counters tell."""
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
    """Say how long all had stayed well when an approver was asked."""
    since, until = rotation.well_since or rotation.verified_at, rotation.asked_at
    if since is None or until is None or until - since <= NOTICEABLE:
        return ""
    return f"All well for {duration(until - since)} before approval was asked for."


def accepted(rotation: Rotation) -> str:
    """Say whose word stands in for a proof."""
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
    State.BLOCKED: (_verdicts, _silence_heard, callers),
    State.AWAITING_APPROVAL: (_verdicts, silence, callers, soaked, accepted),
    State.COMPLETED: (_verdicts, callers, accepted, watch.summary),
}
"""What a card says under its table, by state."""

IN_WATCH: tuple[Fact, ...] = (_verdicts, callers, accepted)


def unrehearsed(rotation: Rotation) -> str:
    """Say that there was no rehearsal, and what stands for it; nothing where there was one."""
    if not rotation.unrehearsed:
        return ""
    stands = "was moved stood" if rotation.moved else "is moved stands"
    why_not = rotation.unrehearsed.rstrip(".")
    instead = f" The first model that {stands} for it." if rotation.plan.models else ""
    return f"No rehearsal in this tenant: {why_not}.{instead}"


def adopted(rotation: Rotation) -> str:
    """Say that the record was lost, and what it therefore cannot tell; nothing where it was not."""
    if not rotation.adopted_at:
        return ""
    return (
        f"The record was lost, and made again {when(rotation.adopted_at)} from what AISIX showed. What came before is "
        f"not known. The person who made it again named <@{rotation.requested_by}> as the requester."
    )


def in_doubt(rotation: Rotation) -> str:
    """Say what cannot be known of the new secret; nothing where fingerprints have told."""
    if rotation.same_secret_checked or rotation.plan.old_key_gone:
        return ""
    return (
        "I cannot tell whether the new secret differs from the one in use: if it is the same, revoking the old one "
        "will stop the new one as well."
    )
