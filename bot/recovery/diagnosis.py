"""The report of `python -m bot doctor`: what an orphan is, what callers notice, what you can do. Pure."""

from collections.abc import Callable, Iterator, Mapping

from bot.recovery.orphans import BEGUN, Kind, Orphan
from bot.rotation.inventory import Inventory, Model, ProviderKey
from bot.rotation.phrases import listing
from bot.rotation.plan import plural
from bot.terminal import Finding, Level


def described(half: Orphan, held: str, inventory: Inventory) -> Finding:
    """Return what is known of one orphan; *held* says why it must not be touched."""
    lines = [held] if held else [*_facts(half, inventory), CALLERS[half.kind], *_ways(half)]
    level = Level.BUSY if held else Level.HALF
    return Finding(level, half.rotation, HEADLINES[half.kind](half), tuple(lines))


HEADLINES: Mapping[Kind, Callable[[Orphan], str]] = {
    Kind.UNUSED: lambda half: f"a replacement of {_called(half.old)} was created, and no model is on it.",
    Kind.SPLIT: lambda half: f"the models of {_called(half.old)} are split over two keys.",
    Kind.MOVED: lambda half: (
        f"every model of {_called(half.old)} is on the replacement, and the old key is still there."
    ),
    Kind.LEFTOVERS: lambda _: "throw-away models were left over; the rotation itself is over.",
    Kind.UNCLEAR: lambda half: f"{_called(half.replacement)} replaces a key, and which one cannot be told.",
    Kind.FINISHED: lambda _: "nothing is left over.",
}
"""One sentence on each kind."""

CALLERS: Mapping[Kind, str] = {
    Kind.UNUSED: "Callers now: all are served with the old key, as if nothing had begun.",
    Kind.SPLIT: "Callers now: served with one key or the other, by model. Whether both work was not asked.",
    Kind.MOVED: "Callers now: all are served with the replacement. Whether it works was not asked.",
    Kind.LEFTOVERS: "Callers now: they notice nothing; no alias of theirs is concerned.",
    Kind.UNCLEAR: "Callers now: each model is served with the key that it is on.",
    Kind.FINISHED: "",
}
"""What callers notice."""


def _called(key: ProviderKey | None) -> str:
    return f"`{key.display_name}` ({key.id})" if key else "a key that is gone"


def _facts(half: Orphan, inventory: Inventory) -> Iterator[str]:
    for key in half.keys:
        on = [m for m in half.moved if key.is_meant_by(m.provider_key)]
        yield f"{plural(len(on), 'model')} on {_called(key)}{_named(on, inventory)}"
    if half.old:
        left = half.unmoved
        yield f"{plural(len(left), 'model')} on the old key, {_called(half.old)}{_named(left, inventory)}"
    elif half.olds:
        yield f"It may replace {listing(map(_called, half.olds))}."
    if half.throwaways:
        yield f"{plural(len(half.throwaways), 'throw-away model')}{_named(half.throwaways, inventory)}"
    if half.holders:
        yield f"Not Keyturn's to move: {listing(half.holders)} refers to the replacement."
    for model in half.strangers:
        yield f"{_label(model, inventory)} is named like a throw-away model and is not this rotation's: left alone."


def _named(models: list[Model] | tuple[Model, ...], inventory: Inventory) -> str:
    return f": {listing(_label(model, inventory) for model in models)}." if models else "."


def _label(model: Model, inventory: Inventory) -> str:
    return f"`{model.alias}` in {inventory.environment_name(model.environment)}"


def _ways(half: Orphan) -> Iterator[str]:
    if half.kind in BEGUN:
        yield f"--adopt  {FORWARD[half.kind]} The old key is deleted when an approver says so, as ever."
    yield f"--clean  {_back(half)}"


FORWARD: Mapping[Kind, str] = {
    Kind.UNUSED: "makes its record again, and goes on with the baseline and the rehearsal, then moves the models.",
    Kind.SPLIT: "makes its record again, rehearses the replacement, moves the rest, and verifies all of them.",
    Kind.MOVED: "makes its record again, and verifies every model on the replacement.",
}
"""What `--adopt` does. It needs `--channel` and `--requester`."""


def _back(half: Orphan) -> str:
    if half.kind is Kind.LEFTOVERS:
        return f"removes {plural(len(half.throwaways), 'throw-away model')}."
    if half.kind is Kind.UNCLEAR:
        return "and --adopt need --old ID: say which key is the old one."
    keys = plural(len(half.keys), "replacement key")
    back = f"points {plural(len(half.moved), 'model')} back at {_called(half.old)}, one first; " if half.moved else ""
    return f"{back}asks every model on the old key, then removes {keys}, unless something uses it. The old key stays."


def summary(orphans: tuple[Orphan, ...]) -> str:
    """Say what the doctor checked, if no orphan is left to report."""
    finished = sum(half.kind is Kind.FINISHED and bool(half.keys) for half in orphans)
    if not finished:
        return "No provider key and no model is left over from a rotation."
    return f"{plural(finished, 'finished rotation')}: a key carries its id, and its old key is not there."
