"""A batch: several keys that are rotated one after the other. Which may begin, and what stops it. Pure."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum

from bot.rotation.flags import flags, shown_of
from bot.rotation.frozen import Frozen
from bot.rotation.record import Rotation
from bot.rotation.states import State, Track
from bot.rotation.stops import StopKind

MOST = 50
"""The most keys of one batch: its digest lists them all."""

REFUSALS = frozenset({StopKind.REJECTED, StopKind.REFUSED})
"""The stops after which no other rotation of the batch begins by itself."""


class Entry(Frozen):
    """One key of a batch."""

    key_id: str
    name: str
    environments: tuple[str, ...] = ()
    """Where models used it when the batch was asked for."""

    rotation: str = ""
    """The id of its rotation, once that has begun."""

    left_out: str = ""
    """Why it gets none."""

    @property
    def waits(self) -> bool:
        """Return whether its rotation has still to begin."""
        return not (self.rotation or self.left_out)


class Halt(Frozen):
    """Why the batch begins no further rotation, and after which one; none if that could not begin."""

    rotation: str = ""
    why: str
    at: datetime


class Batch(Frozen):
    """Several keys in the order in which they are rotated, as somebody asked for them. Never holds a secret."""

    id: str
    version: int = 0
    namespace: str = ""
    team: str
    channel: str
    by: str
    at: datetime
    entries: tuple[Entry, ...]
    halt: Halt | None = None
    settled: bool = False
    """Whether all its rotations are over, too: its message follows them until then."""

    passed: tuple[str, ...] = ()
    """The rotations after whose refusal somebody went on."""

    ended_at: datetime | None = None
    ended_by: str = ""

    def with_entry(self, entry: Entry) -> "Batch":
        """Return this batch with *entry* in the place of the one of the same key."""
        return self.but(entries=tuple(entry if one.key_id == entry.key_id else one for one in self.entries))

    @property
    def is_over(self) -> bool:
        """Return whether it has ended and nothing is left that its message could follow."""
        return self.ended_at is not None and (self.settled or not self.rotations)

    @property
    def rotations(self) -> tuple[str, ...]:
        """Return the ids of the rotations that have begun, in order."""
        return tuple(entry.rotation for entry in self.entries if entry.rotation)


class Standing(StrEnum):
    """How one key of a batch stands."""

    WAITING = "waiting"
    UNDER_WAY = "under way"
    STOPPED = "stopped"
    DONE = "done"
    LEFT_OUT = "left out"


def refusal(rotation: Rotation) -> str:
    """Say in a few words why no other rotation may begin after this one by itself; empty if one may."""
    stop = rotation.stop if rotation.state is State.BLOCKED else None
    if stop and stop.kind in REFUSALS:
        return f"stopped: {stop.headline}"
    if rotation.state is State.CANCELLED:
        return "cancelled"
    return "rolled back" if rotation.track is Track.BACK else ""


def occupies(rotation: Rotation) -> bool:
    """Return whether another one has to wait for *rotation*: from its card to the end of the delete or roll back."""
    return not rotation.is_over and rotation.deleted_at is None


def standing(entry: Entry, rotations: Mapping[str, Rotation]) -> Standing:
    """Return how the key of *entry* stands."""
    rotation = rotations.get(entry.rotation)
    if rotation is None:
        return Standing.LEFT_OUT if entry.left_out else Standing.WAITING
    if refusal(rotation) or (rotation.state is State.BLOCKED and not rotation.deleted_at):
        return Standing.STOPPED
    return Standing.UNDER_WAY if occupies(rotation) else Standing.DONE


def halted(batch: Batch, rotations: Mapping[str, Rotation], now: datetime) -> Batch:
    """Return *batch*, halted after the first refusal that nobody has passed over."""
    if batch.halt or batch.ended_at:
        return batch
    for id_ in batch.rotations:
        if id_ in rotations and id_ not in batch.passed and (why := refusal(rotations[id_])):
            return batch.but(halt=Halt(rotation=id_, why=why, at=now))
    return batch


def next_entry(batch: Batch, under_way: Iterable[Rotation], most: int) -> Entry | None:
    """Return the entry whose rotation may begin: in none of its environments are *most* of a batch under way."""
    if batch.halt or batch.ended_at:
        return None
    others = (one for one in under_way if one.batch and occupies(one))
    busy = [
        {*one.plan.environments} or {""}
        for one in others
        if not (one.id in batch.passed and one.state is State.BLOCKED)
    ]

    def has_room(entry: Entry) -> bool:
        return all(sum(place in places for places in busy) < most for place in entry.environments or ("",))

    return next((entry for entry in batch.entries if entry.waits and has_room(entry)), None)


def unnoted(batch: Batch, under_way: Iterable[Rotation]) -> Rotation | None:
    """Return a rotation of *batch* that a process began and could not note before it died."""
    waiting = {entry.key_id for entry in batch.entries if entry.waits}
    ours = (one for one in under_way if one.batch == batch.id and one.plan.old_key.id in waiting)
    return next(ours, None)


def is_done(batch: Batch, rotations: Mapping[str, Rotation]) -> bool:
    """Return whether nothing is left to do: every key is rotated, or left out, or its refusal was passed over."""
    if batch.halt:
        return False
    settled = {Standing.DONE, Standing.LEFT_OUT}
    return all(
        standing(entry, rotations) in settled or (entry.rotation in batch.passed and rotations[entry.rotation].is_over)
        for entry in batch.entries
    )


def ready(batch: Batch, rotations: Iterable[Rotation]) -> dict[str, str]:
    """Return what one approval may cover, by rotation the mark of what is shown: no rotation that needs a reason."""
    waiting = (one for one in rotations if one.state is State.AWAITING_APPROVAL and one.id in batch.rotations)
    return {one.id: shown_of(one) for one in waiting if not (flags(one) or one.policy.own_approval)}
