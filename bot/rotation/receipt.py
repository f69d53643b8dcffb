"""The receipt as a document: what was decided, by whom, when and on what evidence, with the proof of it. Pure.

The proof is the record as it was stored, and the entry of the audit trail that binds it. It can be
verified without Redis; the entry's hash stands on the receipt in Slack, where nobody but Keyturn can edit it.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import ValidationError

from bot.rotation import audit
from bot.rotation.audit import Fault
from bot.rotation.finding import Acceptance
from bot.rotation.labels import label_of
from bot.rotation.parts import Revocation, Way
from bot.rotation.plan import AffectedModel
from bot.rotation.record import Approval, Replacement, Rotation
from bot.rotation.revocation import left_too

FORMAT = 1
"""The format of a document. Another set of fields is another format: verification makes the document again."""


class Receipt(NamedTuple):
    """A verified receipt: its rotation, and the entry of the audit trail that binds it."""

    rotation: Rotation
    entry: Mapping[str, Any]


def document(rotation: Rotation, record: str, line: str) -> dict[str, Any]:
    """Return the receipt of *rotation*, stored as *record* by the audit trail's *line*."""
    entry = json.loads(line)
    return {
        "receipt": FORMAT,
        "rotation": rotation.id,
        "state": rotation.state,
        "workspace": rotation.team,
        "channel": rotation.channel,
        **_keys(rotation),
        **_people(rotation),
        **_leak(rotation),
        **_times(rotation),
        "counts": Counter(label_of(rotation.finding(model)) for model in rotation.plan.models),
        "models": [_model(rotation, model) for model in rotation.plan.models],
        "callers": _callers(rotation),
        "old_key_use": [
            {
                "environment": one.environment,
                "replica": one.name,
                "requests": one.count,
                "looked_at": _at(one.looked_at),
            }
            for one in rotation.silences
        ],
        "watch": {
            "until": _at(rotation.watch_until),
            "looks": rotation.watched,
            "blind_looks": rotation.blind,
            "troubles": [{"at": _at(one.at), "over": one.over, "what": one.sentence} for one in rotation.troubles],
        },
        "left_alone": list(rotation.left_alone),
        **_task(rotation),
        "audit": {"entry": entry["number"], "head": entry["hash"]},
        "proof": {"entry": line, "record": record},
    }


def _keys(rotation: Rotation) -> dict[str, Any]:
    old, new = rotation.plan.old_key, rotation.replacement
    return {
        "old_key": {"id": old.id, "name": old.display_name},
        "new_key": {"id": new.key_id, "name": new.name, **_way(new)} if new else None,
    }


def _way(new: Replacement) -> dict[str, str]:
    """Return which way the secret came; receipts of older versions, and of Slack's form, have no such field."""
    came = {} if new.way is Way.FORM else {"secret_by": new.way.value}
    return came | ({"secret_from": new.source} if new.source else {})


def _people(rotation: Rotation) -> dict[str, Any]:
    return {
        "requested": {
            "by": rotation.requested_by,
            "at": _at(rotation.requested_at),
            **_given(rotation, "why", "ticket"),
        },
        "secrets_given": rotation.attempt,
        **({"policies": list(rotation.policy.names)} if rotation.policy.names else {}),
        **({"starts": list(map(_start, rotation.starts))} if rotation.starts else {}),
        "approvals": [
            {"by": one.by, "at": _at(one.at), **_given(one, "reason", "signed_in")} for one in rotation.approvals
        ],
        "approvals_required": rotation.approvals_required,
        "void_approvals": [
            {"by": list(one.by), "at": _at(one.at), "changes": list(one.changes)} for one in rotation.voids
        ],
        "accepted": _accepted(rotation.accepted),
        **_talk(rotation),
    }


def _start(start: Approval) -> dict[str, str]:
    return {"by": start.by, "at": _at(start.at) or "", **_given(start, "reason", "signed_in")}


def _talk(rotation: Rotation) -> dict[str, Any]:
    """Return what approvers and the requester said to each other; receipts of older versions have none of it."""
    questions = [
        {"by": one.by, "at": _at(one.at), "text": one.text, "answer": one.answer, "answered_at": _at(one.answered_at)}
        for one in rotation.questions
    ]
    put_off = [
        {"by": one.by, "at": _at(one.at), "reason": one.reason, "taken_back": one.over} for one in rotation.put_off
    ]
    return {name: said for name, said in (("questions", questions), ("not_yet", put_off)) if said}


def _given(about: Rotation | Approval, *names: str) -> dict[str, str]:
    """Return what people wrote into these fields; receipts of older versions have none of them."""
    return {name: said for name in names if (said := getattr(about, name))}


def _task(rotation: Rotation) -> dict[str, Any]:
    """Return the task to revoke a credential; receipts of older versions have none."""
    task = rotation.revocation
    if task is None:
        return {}
    ended = {"by": task.ended_by, "at": _at(task.ended_at), **({"not_needed": task.reason} if task.reason else {})}
    known: dict[str, Any] = {"credential": task.which, "owner": task.owner, "due_at": _at(task.due_at)}
    known |= {"also": list(too)} if (too := left_too(rotation)) else {}
    return {"revocation": {**known, **_there(task), "ended": None if task.is_open else ended}}


def _there(task: Revocation) -> dict[str, Any]:
    """Return what Keyturn did at the provider; others have no such field."""
    there = task.there
    if there is None:
        return {}
    asked = [{"by": one.by, "at": _at(one.at), **_given(one, "reason")} for one in there.approvals]
    known = {"id": there.row.id, "hint": there.row.hint, "phase": there.phase, "disabled_at": _at(there.disabled_at)}
    return {"at_the_provider": {**known, "asked": asked, "because_of_a_leak": there.by_itself}}


def _leak(rotation: Rotation) -> dict[str, Any]:
    """Return what people said of a leak; receipts of other rotations have no such field."""
    told = {"exposed": rotation.exposed, "review": rotation.review}
    return {name: word.model_dump(mode="json") for name, word in told.items() if word}


def _accepted(word: Acceptance | None) -> dict[str, Any] | None:
    return {"by": word.by, "at": _at(word.at), "reason": word.reason, "of": word.of} if word else None


def _times(rotation: Rotation) -> dict[str, Any]:
    return {name: _at(getattr(rotation, name)) for name in ("started_at", "adopted_at", "deleted_at", "ended_at")}


def _model(rotation: Rotation, model: AffectedModel) -> dict[str, Any]:
    finding = rotation.finding(model)
    known = finding.current
    return {
        "id": model.id,
        "alias": model.alias,
        "environment": model.environment_name,
        "verdict": label_of(finding),
        "reason": known.reason if known else None,
        "at": _at(known.at) if known else None,
        "moved_at": _at(finding.moved_at),
        "accepted": _accepted(finding.accepted),
    }


def _callers(rotation: Rotation) -> dict[str, Any] | None:
    met = rotation.tally
    counts = ("answered", "failed", "limited")
    return {"since": _at(met.since), **{name: getattr(met, name) for name in counts}} if met else None


def _at(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def verified(text: str, head: str | None = None) -> Receipt:
    """Return what a document proves; raise `Fault` at the first field that is not as recorded, or at another *head*."""
    said = _read(text)
    line, record = said["proof"]["entry"], said["proof"]["record"]
    entry = _entry(line)
    rotation = _rotation(record, entry)
    for difference in _differences(said, json.loads(json.dumps(document(rotation, record, line)))):
        raise Fault(difference)
    if head is not None and not entry["hash"].startswith(audit.wanted_head(head)):
        raise Fault(OTHER_HEAD.format(entry["hash"][: audit.SHORT]))
    return Receipt(rotation, entry)


OTHER_HEAD = (
    "The head is `{}`, and not the one that you gave: it was made of an edited record, or at another moment than the "
    "receipt in Slack. `audit verify --head` tells whether a head is in the trail."
)

NO_RECEIPT = "This is not a receipt that Keyturn printed."


def _read(text: str) -> dict[str, Any]:
    try:
        said = json.loads(text, object_pairs_hook=_once)
        is_whole = all(isinstance(said["proof"][name], str) for name in ("entry", "record"))
        version = said["receipt"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise Fault(NO_RECEIPT) from None
    if not is_whole:
        raise Fault(NO_RECEIPT)
    if version != FORMAT:
        raise Fault("This receipt has another format: verify it with the version of Keyturn that printed it.")
    return dict(said)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Refuse a field that is there twice: people would read the first, and programs the last."""
    fields = dict(pairs)
    if len(fields) < len(pairs):
        raise ValueError
    return fields


def _entry(line: str) -> Mapping[str, Any]:
    entry = audit.read(line)
    if entry is None:
        raise Fault("The audit entry in `proof` was changed: its hash is not that of what it says.")
    if audit.RECORD not in entry:
        raise Fault(f"An earlier version of Keyturn wrote entry {entry['number']}, which binds no record: no proof.")
    return entry


def _rotation(record: str, entry: Mapping[str, Any]) -> Rotation:
    """Return the rotation that *entry* binds, or raise `Fault` if *record* is another one."""
    if audit.digest(record) != entry[audit.RECORD]:
        raise Fault(f"The record in `proof` is not the one that entry {entry['number']} wrote: {audit.EDITED}.")
    try:
        rotation = Rotation.model_validate_json(record)
    except ValidationError:
        raise Fault("This version of Keyturn can't read the record in `proof`: verify with a newer one.") from None
    audit.check_bound(audit.stored_of(rotation, record), entry)
    return rotation


def _differences(said: Any, true: Any, place: str = "") -> Iterator[str]:
    """Yield a sentence for each field that the document has otherwise than the record."""
    if isinstance(said, dict) and isinstance(true, dict):
        for name in sorted({*said, *true}):
            yield from _differences(said.get(name, _GONE), true.get(name, _GONE), f"{place}.{name}".removeprefix("."))
    elif isinstance(said, list) and isinstance(true, list) and len(said) == len(true):
        for number, (one, other) in enumerate(zip(said, true, strict=True)):
            yield from _differences(one, other, f"{place}[{number}]")
    elif _told(said) != _told(true):
        yield f"`{place}` was edited: the receipt says {_told(said)[:200]}, and the record {_told(true)[:200]}."


_GONE: Any = object()
"""Stands for a field that is not there."""


def _told(value: Any) -> str:
    return "nothing" if value is _GONE else json.dumps(value)
