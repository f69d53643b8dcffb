"""The audit trail: every change and every refusal, each entry chained to the one before by a hash. Pure.

An entry is one line of JSON. It ends with the SHA-256 of its own content and of the previous entry's hash. Anyone who
has only the lines can detect one that was changed, removed, repeated or moved.

An entry also binds the record of its rotation: `found` is the digest of the record that was stored when the entry was
written, `record` that of the version that was stored with it. So an edit of the record by another hand is found, even
after Keyturn has saved over it. Entries of earlier versions lack both.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any, NamedTuple

from bot.rotation import secret
from bot.rotation.plan import plural
from bot.rotation.record import Rotation

START = "0" * 64
"""The previous hash of the first entry."""

SHORT = 20
"""Digits of a hash that people see: 80 bits, so nobody can forge another trail that ends in them."""


FIELDS = frozenset({"number", "kind", "rotation", "version", "state", "before"})
"""The fields that verification needs; an entry may have more."""

FOUND, RECORD = "found", "record"
"""The fields that bind a record; entries of earlier versions have neither."""


class Kind(StrEnum):
    """What an entry records."""

    CHANGE = "change"
    """A new version of a rotation's record."""

    CLICK = "click"
    """A press that opened a form; it changed nothing."""

    REFUSAL = "refusal"
    """A request that Keyturn refused."""

    CARRIED = "carried"
    """A rotation carried over from another namespace, in its next version; its history is in the trail there."""

    BATCH = "batch"
    """A change of a batch."""

    HOLD = "hold"
    """A hold on a provider key, set or lifted."""

    REPAIR = "repair"
    """A repair by `python -m bot doctor` of a rotation without a record."""


CHANGES = frozenset({Kind.CHANGE, Kind.CARRIED})
"""Kinds of entries that give the version and state of a rotation's record."""


class Stored(NamedTuple):
    """What verification needs of a stored record."""

    version: int
    state: str
    digest: str
    head: str | None


class Written(NamedTuple):
    """The next version of a record, as it is stored, and the trail's line about it."""

    rotation: Rotation
    record: str
    line: str


class Head(NamedTuple):
    """The end of the trail: the number and the hash of its last entry."""

    number: int = 0
    hash: str = START


class Fault(Exception):
    """The trail was tampered with; the text says where, in one sentence."""


def entry(
    kind: Kind, rotation: Rotation | None, event: Mapping[str, str], at: str, namespace: str = ""
) -> dict[str, Any]:
    """Return an entry on a change of *rotation* or a refusal; *rotation* is None if the refusal concerns none."""
    return {
        **({"namespace": namespace} if namespace else {}),
        "at": at,
        "kind": kind,
        "rotation": rotation.id if rotation else None,
        "version": rotation.version if rotation else None,
        "state": rotation.state if rotation else None,
        "key": rotation.plan.old_key.id if rotation else None,
        "by": event["by"],
        "what": event["what"],
        "why": _sayable(event["why"]),
    }


def _sayable(text: str) -> str:
    """Leave out text that may be a secret: nobody can remove it from the trail later."""
    if secret.is_surely_secret(text) or secret.may_be_secret(text):
        return "(left out: it may hold a secret)"
    return text


def digest(record: str) -> str:
    """Return the SHA-256 of a stored record, byte for byte, but for its audit head.

    The head is the hash of the entry that holds this digest, so it can't be part of it.
    """
    return hashlib.sha256(_with_head(record, "").encode(errors="surrogatepass")).hexdigest()


def _with_head(record: str, head: str) -> str:
    """Return a stored record with another audit head, if it has one."""
    front, name, rest = record.rpartition('"audit_head":"')
    return f"{front}{name}{head}{rest[SHORT:]}" if name else record


def stored_of(rotation: Rotation, record: str) -> Stored:
    """Return what verification needs of a *rotation* and the *record* that it was read from."""
    return Stored(rotation.version, rotation.state, digest(record), rotation.audit_head)


def as_found(record: str | None) -> dict[str, str]:
    """Return the field of an entry that says which *record* was stored when the entry was written."""
    return {FOUND: digest(record)} if record else {}


def written(entry: Mapping[str, Any], rotation: Rotation, before: str | None, head: Head) -> Written:
    """Return *rotation* as it is stored over the record *before*, with the line of *entry*, which binds both.

    Once the old key is deleted, the record also holds the line's hash: the receipt shows it.
    """
    ended = rotation.deleted_at is not None
    record = rotation.but(audit_head=START[:SHORT] if ended else None).model_dump_json()
    line = chained({**entry, **as_found(before), RECORD: digest(record)}, head)
    if not ended:
        return Written(rotation, record, line)
    shown = head_of(line).hash[:SHORT]
    return Written(rotation.but(audit_head=shown), _with_head(record, shown), line)


def chained(entry: Mapping[str, Any], head: Head) -> str:
    """Return the line of an *entry* that follows *head*."""
    return _sealed({"number": head.number + 1, **entry, "before": head.hash})


def _sealed(body: Mapping[str, Any]) -> str:
    return _line({**body, "hash": hashlib.sha256(_line(body).encode()).hexdigest()})


def _line(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, separators=(",", ":"))  # ASCII only: one encoding, and no line breaks


def read(line: str) -> dict[str, Any] | None:
    """Read a line; return None unless it is exactly as Keyturn wrote it."""
    try:
        fields = json.loads(line)
        body = {name: value for name, value in fields.items() if name != "hash"}
        genuine = body.keys() >= FIELDS and _sealed(body) == line
    except (ValueError, RecursionError, AttributeError):
        return None
    return fields if genuine and isinstance(fields["number"], int) else None


def head_of(line: str | None) -> Head:
    """Return the head after *line*; if someone tampered with it, the trail continues and the fault stays."""
    if line is None:
        return Head()
    found = read(line)
    return Head(found["number"], found["hash"]) if found else Head(0, hashlib.sha256(line.encode()).hexdigest())


def verified(lines: Sequence[str]) -> list[dict[str, Any]]:
    """Return the entries, or raise `Fault` at the first that is changed, missing, repeated or out of order."""
    entries: list[dict[str, Any]] = []
    head = Head()
    for place, line in enumerate(lines):
        found = read(line)
        if found is None:
            raise Fault(f"Entry {head.number + 1} was changed: its hash is not that of what it says.")
        if (found["number"] - 1, found["before"]) != head:
            raise Fault(_misplaced(found, head, lines[:place], lines[place + 1 :]))
        head = Head(found["number"], found["hash"])
        entries.append(found)
    _check_namespace(entries)
    _check_versions(entries)
    _check_found(entries)
    return entries


def trail_of(entries: Sequence[Mapping[str, Any]]) -> str:
    """Return the namespace of a trail; empty in the earlier version, which kept one trail for all."""
    return str(entries[0].get("namespace", "")) if entries else ""


def _check_namespace(entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise `Fault` if an entry belongs to another trail."""
    for found in entries:
        if found.get("namespace", "") != trail_of(entries):
            raise Fault(f"Entry {found['number']} belongs into another trail: it was written by another Keyturn.")


def check_trail(entries: Sequence[Mapping[str, Any]], namespace: str) -> None:
    """Raise `Fault` if the trail kept for a namespace belongs to another one."""
    if entries and trail_of(entries) != namespace:
        raise Fault(f"The trail kept for keyturn:{namespace} is of keyturn:{trail_of(entries)}: it was copied there.")


def check_distinct(trails: Iterable[Sequence[Mapping[str, Any]]]) -> None:
    """Raise `Fault` if one trail occurs twice."""
    names = [trail_of(entries) for entries in trails]
    for name in names:
        if names.count(name) > 1:
            raise Fault(f"The trail of keyturn:{name} is there twice: entry 1 stands there again.")


def holder_of(head: str, trails: Sequence[Sequence[Mapping[str, Any]]]) -> Sequence[Mapping[str, Any]]:
    """Return the trail that holds the entry with the receipt's *head*, or raise `Fault`."""
    for entries in trails[:-1]:
        with suppress(Fault):
            check_head(head, entries)
            return entries
    check_head(head, trails[-1])
    return trails[-1]


def split_trails(lines: Sequence[str]) -> list[Sequence[str]]:
    """Split lines into trails; a first entry starts a new trail."""
    begins = [place for place, line in enumerate(lines) if place == 0 or _begins(line)]
    return [lines[begin:end] for begin, end in zip(begins, [*begins[1:], len(lines)], strict=True)]


def _begins(line: str) -> bool:
    found = read(line)
    return found is not None and (found["number"], found["before"]) == (1, START)


def _misplaced(found: Mapping[str, Any], head: Head, past: Sequence[str], coming: Sequence[str]) -> str:
    """Say why *found* does not follow *head*."""
    number, wanted = found["number"], head.number + 1
    if number == wanted:
        return f"Entry {wanted} does not follow entry {head.number}: one of the two was rewritten."
    if any(_is_number(line, number) for line in past):
        return f"Entry {number} is there twice: the second one stands after entry {head.number}."
    if any(_is_number(line, wanted) for line in coming):
        return f"Entry {number} is out of order: it stands before entry {wanted}."
    return f"Entry {wanted} is missing: entry {number} stands in its place."


def _is_number(line: str, number: int) -> bool:
    found = read(line)
    return found is not None and found["number"] == number


def _check_versions(entries: Iterable[Mapping[str, Any]]) -> None:
    """Raise `Fault` unless the versions of every rotation's record are consecutive."""
    versions: dict[Any, int] = {}
    for found in entries:
        if found["kind"] in CHANGES:
            after = versions.get(found["rotation"], 0)
            if found["version"] != after + 1 and not (found["kind"] == Kind.CARRIED and found["version"] > after):
                raise Fault(
                    f"Entry {found['number']} tells of version {found['version']} of rotation {found['rotation']}, "
                    f"and none before it of version {after + 1}: entries were taken out and the rest rewritten."
                )
            versions[found["rotation"]] = found["version"]


def _check_found(entries: Iterable[Mapping[str, Any]]) -> None:
    """Raise `Fault` if an entry found another record than the last change before it had written."""
    last: dict[Any, Mapping[str, Any]] = {}
    for entry in entries:
        change = last.get(entry["rotation"], {})
        if FOUND in entry and change.get(RECORD, entry[FOUND]) != entry[FOUND]:
            raise Fault(
                f"Entry {entry['number']} found another record of rotation {entry['rotation']} than entry "
                f"{change['number']} had written: {EDITED} in between."
            )
        if entry["kind"] in CHANGES:
            last[entry["rotation"]] = entry


EDITED = "a verdict, an approval, a time or another field was edited"


def binding(entries: Sequence[Mapping[str, Any]]) -> str:
    """Say from which entry on every change binds its record; empty if there was no change."""
    changes = [entry for entry in entries if entry["kind"] in CHANGES]
    loose = [entry["number"] for entry in changes if RECORD not in entry]
    bound = [entry["number"] for entry in changes if not loose or entry["number"] > loose[-1]]
    if not bound:
        return f"Entry {loose[-1]} is of an earlier version of Keyturn: it binds no record." if loose else ""
    left = sum(RECORD not in entry for entry in {entry["rotation"]: entry for entry in changes}.values())
    older = f"; {plural(left, 'rotation')} changed last before that, and no hash binds what is recorded there"
    return f"Records are bound from entry {bound[0]} on{older if left else ''}."


AtVersion = tuple[int, str]
"""A rotation's version, and its state in that version."""


def last_versions(entries: Iterable[Mapping[str, Any]]) -> dict[str, AtVersion]:
    """Return the version and state of each rotation after its last change."""
    return {e["rotation"]: (e["version"], e["state"]) for e in entries if e["kind"] in CHANGES}


def check_records(
    records: Mapping[str, Stored], before: Sequence[Mapping[str, Any]], after: Sequence[Mapping[str, Any]]
) -> None:
    """Raise `Fault` unless the trail explains every record; it was read *before* the records and again *after*."""
    told = {(e["rotation"], e["version"], e["state"]): e for e in after if e["kind"] in CHANGES}
    for rotation_id, stored in records.items():
        change = told.get((rotation_id, stored.version, stored.state))
        if change is None:
            raise Fault(
                f"Rotation {rotation_id} is {stored.state} at version {stored.version}, and no entry says so: entries "
                "were taken from the end, or the record was changed by another hand."
            )
        check_bound(stored, change)
    for rotation_id, (version, _) in last_versions(before).items():
        if rotation_id not in records:
            raise Fault(f"The trail tells of rotation {rotation_id}, and there is no record of it that can be read.")
        if records[rotation_id].version < version:
            raise Fault(
                f"Rotation {rotation_id} was put back from version {version} to {records[rotation_id].version}."
            )


def check_bound(stored: Stored, change: Mapping[str, Any]) -> None:
    """Raise `Fault` if the entry of a record's last *change* binds it, and the record was edited since."""
    heads = (None, change["hash"][:SHORT])
    if RECORD in change and (stored.digest != change[RECORD] or stored.head not in heads):
        raise Fault(
            f"The record of rotation {change['rotation']} is not the one that entry {change['number']} wrote: {EDITED}."
        )


def check_head(head: str, entries: Iterable[Mapping[str, Any]]) -> int:
    """Return the number of the entry with the receipt's *head*, or raise `Fault`."""
    wanted = wanted_head(head)
    for found in entries:
        if found["hash"].startswith(wanted):
            return int(found["number"])
    raise Fault(f"No entry has the hash {wanted}: entries were taken from the end, or the trail was rewritten.")


def wanted_head(head: str) -> str:
    """Return a *head* that a person copied from a receipt, or raise `Fault` if it is too short to tell anything."""
    wanted = head.strip().strip("`").casefold()
    if len(wanted) < SHORT:
        raise Fault(f"A head has at least {SHORT} digits; the receipt shows them.")
    return wanted
