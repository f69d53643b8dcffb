"""Show the evidence to the person who decides about the delete: verdicts, old-key usage, callers, soak."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from bot.rotation.attention import is_watched, objections
from bot.rotation.counted import OldKeyUsage
from bot.rotation.finding import Finding
from bot.rotation.flags import Flag, flags, unproved_models
from bot.rotation.labels import NEED, Label, label_of
from bot.rotation.old_key import Deaf, Usage, counts_now, usage_of
from bot.rotation.phrases import listing
from bot.rotation.plan import plural
from bot.rotation.proof import is_accepted
from bot.rotation.record import Rotation
from bot.rotation.states import State
from handlers.views import asks
from handlers.views.blocks import CELL_MOST, code, duration, sentence, when

LABELS: Mapping[Label, str] = {
    Label.REJECTED: "refused",
    Label.INVALID: "unusable answer",
    Label.PROJECTION: "not synced",
    Label.INCONCLUSIVE: "no clear answer",
    Label.ACCEPTED: "accepted unproved",
    Label.AS_BEFORE: "already failing",
    Label.NOT_PROBED: "not tested",
    Label.MOVED: "on the new key",
    Label.NOT_MOVED: "on the old key",
    Label.LIKELY: "likely",
    Label.PROVED: "proved",
}
"""What people see for each label; records and documents keep the label itself."""

LEGEND: Mapping[Label, str] = {
    Label.REJECTED: "the upstream refused the new secret",
    Label.INVALID: "answered, but not in a way that says anything for the new secret",
    Label.PROJECTION: "the gateway has not taken the new key yet",
    Label.INCONCLUSIVE: "says nothing about the new secret, for or against",
    Label.ACCEPTED: "nothing proves it; an approver accepted it by name",
    Label.AS_BEFORE: "fails on the new key exactly as it did on the old key",
    Label.NOT_PROBED: "not tested, because the settings say skip",
    Label.MOVED: "points at the new key; not tested yet",
    Label.NOT_MOVED: "not moved yet",
    Label.LIKELY: (
        "answered live, several times in a row, after the change was seen at the gateways; "
        "their counters do not prove which key served it"
    ),
    Label.PROVED: (
        "the gateways' own counters show that the new key served it, and the old key did not, on every replica"
    ),
}
"""What each label means."""


OTHER_CLOCK = re.compile(r"old key 0 since \d\d:\d\d UTC")
"""What a proof says in its own clock; people see one clock, the reader's."""


def why(finding: Finding) -> str:
    """Give the reason for a verdict, without mentions: a table cannot show them."""
    reason = OTHER_CLOCK.sub("the old key none", finding.current.reason) if finding.current else "–"
    match label_of(finding):
        case Label.AS_BEFORE:
            return f"the same on both keys: {reason}"
        case Label.ACCEPTED if finding.accepted:
            return f"an approver accepted it: {finding.accepted.reason}"
        case Label.NOT_PROBED:
            return "the settings say skip"
        case _:
            return reason


WORDS_MOST = 20
CLAUSE = re.compile(r"[;:,.(]+$")


UNKNOWN_KEY = ("answered, but with which key is unknown: ", "key unknown: ")
"""How a verdict begins, and in a table, where the status says that nothing is clear: there is room for the rest."""


def short(reason: str) -> str:
    """Keep the first words of a reason for a table, whole clauses if possible, and never a part of a word."""
    words = reason.replace(*UNKNOWN_KEY).split()
    kept = words[:WORDS_MOST]
    while len(kept) > 1 and len(" ".join(kept)) > CELL_MOST - len(" …"):
        kept.pop()
    if kept == words:
        return " ".join(words)
    ends = [place for place, word in enumerate(kept, start=1) if word.endswith(";")]
    return f"{CLAUSE.sub('', ' '.join(kept[: ends[-1]] if ends else kept))} …"


def tally(rotation: Rotation) -> str:
    """Count the verdicts on the moved models: "11 proved · 1 as before"."""
    return (
        counted(label_of(rotation.finding(model)) for model in rotation.moved)
        or "no model to verify: nothing proves the new secret"
    )


def counted(labels: Iterable[Label]) -> str:
    """Count each of *labels*, the best first."""
    counts = Counter(labels)
    return " · ".join(
        f"{counts[label]:,} {LABELS[label]}" for label in sorted(counts, key=NEED.__getitem__, reverse=True)
    )


def legend(rotation: Rotation) -> str:
    """Explain the verdicts that this card shows."""
    shown = {label_of(rotation.finding(model)) for model in rotation.plan.models}
    return " · ".join(f"*{LABELS[label]}*: {meaning}" for label, meaning in LEGEND.items() if label in shown)


Fact = Callable[[Rotation], str]


def facts(rotation: Rotation) -> list[str]:
    """Return the facts for a card in this state, one line each."""
    told = IN_WATCH if is_watched(rotation) else FACTS.get(rotation.state, ())
    return [line for fact in told if (line := fact(rotation))]


def _last_heard(rotation: Rotation) -> str:
    """Say where the old key was last used and where nobody can tell, unless the alarm and the summary say it all."""
    usage = usage_of(rotation)
    is_untold = usage.last or (usage.deaf and rotation.state is State.BLOCKED)
    return silence(rotation) if rotation.silences and is_untold else ""


def old_key(rotation: Rotation) -> str:
    """Say in a few words whether the old key is still used, once nothing should use it."""
    if not (rotation.moved and rotation.all_moved):
        return ""
    if not rotation.silences:
        return "can't tell whether the old key is still used (no `status_urls`)"
    usage = usage_of(rotation)
    if usage.is_in_use:
        return "*old key still in use*"
    since = usage.last.heard_at if usage.last else usage.since
    silent = f"old key silent on {usage.listening:,} of {plural(usage.replicas, 'replica')}"
    return f"{silent} since {when(since)}" if since else silent


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


def objected(rotation: Rotation) -> list[str]:
    """Say who has said "not yet" and why; nothing if nobody has."""
    return [AGAINST[Flag.PUT_OFF](rotation)] if objections(rotation) else []


def against(rotation: Rotation) -> list[str]:
    """Say what speaks against the delete, and what to do about it; approvers must read it before they press."""
    return [AGAINST[flag](rotation) for flag in flags(rotation)]


def _in_use(rotation: Rotation) -> str:
    last = usage_of(rotation).last
    where = f" on {code(last.name, 40)}" if last else ""
    return f"The old key is still in use{where}: deleting it fails those requests. Find what uses it first."


def failed(rotation: Rotation) -> str:
    """Say how many requests of callers failed since the change."""
    count = rotation.tally.failed if rotation.tally else 0
    return f"{plural(count, 'caller request')} failed since the change. Find out why before you delete the old key."


def _unseen(rotation: Rotation) -> str:
    deaf = usage_of(rotation).deaf
    return f"Can't tell whether the old key is still used {listing(map(_place_of, deaf))}. Look there first."


def _unproved(rotation: Rotation) -> str:
    models = unproved_models(rotation)
    if len(models) > 1:
        return f"Nothing proves that {plural(len(models), 'model')} work on the new key: see the card's table for why."
    model = models[0]
    label = label_of(rotation.finding(model))
    status = f"{LABELS[label]}{', on both keys' if label is Label.AS_BEFORE else ''}"
    name = f"{code(model.alias, 40)} in {code(model.environment_name, 40)}"
    return f"Nothing proves that {name} works on the new key: {status}. Try it yourself first."


def _put_off(rotation: Rotation) -> str:
    """Repeat why approvers have said "not yet", the newest first."""
    said = [f"Not yet, says <@{one.by}>, {when(one.at)}: {code(one.reason, 300)}." for one in objections(rotation)]
    more = len(said) - REASONS_MOST
    shown = said[::-1][:REASONS_MOST]
    return " ".join([*shown, *([f"And {more:,} more."] if more > 0 else [])])


AGAINST: Mapping[Flag, Callable[[Rotation], str]] = {
    Flag.IN_USE: _in_use,
    Flag.FAILED: failed,
    Flag.UNSEEN: _unseen,
    Flag.UNPROVED: _unproved,
    Flag.PUT_OFF: _put_off,
}
"""The sentence for each flag; a test checks that none is missing."""


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
    accepted = (rotation.finding(model) for model in rotation.moved)
    words = Counter((f.accepted.by, f.accepted.reason) for f in accepted if f.is_accepted and f.accepted)
    said = [
        f"{plural(count, 'model')} accepted unproved by <@{by}>: {code(reason, 300)}."
        for (by, reason), count in words.most_common(REASONS_MOST)
    ]
    more = len(words) - len(said)
    return " ".join([*said, *([f"And for {plural(more, 'more reason')}: see the receipt."] if more > 0 else [])])


REASONS_MOST = 3
"""Reasons of acceptances that a card tells in full."""


def unrehearsed(rotation: Rotation) -> str:
    """Say that there was no rehearsal, and which model tries the secret first; empty if there was one."""
    if not rotation.unrehearsed:
        return ""
    why_not = rotation.unrehearsed.rstrip(".")
    tries = "moved was" if rotation.moved else "moves will be"
    first = f" The first model that {tries} the first to try it." if rotation.plan.models else ""
    return sentence(f"The new secret was not rehearsed: {why_not}.{first}", 600)


def rehearsed(rotation: Rotation) -> str:
    """Say what the rehearsal found, to an approver who decides whether models may move."""
    return sentence(f"Rehearsal: {rotation.rehearsal}.", 600) if rotation.rehearsal and not rotation.unrehearsed else ""


def adopted(rotation: Rotation) -> str:
    """Say that the record was lost and rebuilt, and what is unknown therefore; empty if it was not."""
    if not rotation.adopted_at:
        return ""
    return (
        f"The record was lost and rebuilt {when(rotation.adopted_at)} from what AISIX showed. What came before is "
        f"not known. The person who rebuilt it named <@{rotation.requested_by}> as the requester."
    )


FACTS: Mapping[State, tuple[Fact, ...]] = {
    State.RUNNING: (unrehearsed, adopted),
    State.AWAITING_START: (rehearsed, unrehearsed, adopted),
    State.BLOCKED: (_last_heard, unrehearsed, adopted),
    State.AWAITING_APPROVAL: (asks.delete_times, _last_heard, soaked, accepted, unrehearsed, adopted),
    State.COMPLETED: (accepted,),
}
"""The facts that a card shows below the buttons, by state."""

IN_WATCH: tuple[Fact, ...] = (accepted,)


def in_doubt(rotation: Rotation) -> str:
    """Say that the new secret may equal the old one; empty if fingerprints showed otherwise."""
    if rotation.same_secret_checked or rotation.plan.old_key_gone:
        return ""
    return (
        "Keyturn can't tell whether the new secret differs from the one in use: if it is the same, revoking the old "
        "one will stop the new one as well."
    )
