"""The receipt as a document: people who have it and the head in Slack find an edit, without Redis."""

import json
from pathlib import Path
from typing import Any

import pytest

from bot.commands import receipts
from bot.rotation import audit, receipt
from bot.rotation.audit import Fault, Kind
from bot.rotation.counted import OldKeyUsage, Tally
from bot.rotation.errors import Refused
from bot.rotation.evidence import Evidence
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.record import Rotation, Trouble, Void
from bot.rotation.states import State
from tests.bot.values import EVENT, NOW, affected, approval, later, plan_of, running

KEPT = Path(__file__).parent / "stored" / "receipt-1.json"
"""A receipt of the first format, as it was printed."""


def answer(verdict: str, reason: str) -> Evidence:
    return Evidence(verdict=verdict, reason=reason, at=NOW, signature=reason)


VOUCHED = Acceptance(by="U_APPROVER", at=NOW, reason="tried it by hand", of="429")
ENDED = running(
    id="rabc123",
    version=8,
    plan=plan_of("pk_old").but(models=(affected(), affected("m2"))),
    findings={
        "m1": Finding(moved_at=NOW, verdict=answer("proved", "replacement served 3 requests")),
        "m2": Finding(moved_at=NOW, latest=answer("inconclusive", "429"), accepted=VOUCHED),
    },
    approvals=(approval(),),
    voids=(Void(by=("U_OTHER",), at=NOW, changes=("A model is new.",)),),
    tally=Tally(since=NOW, answered=1204),
    silences=(OldKeyUsage(url="http://10.0.0.7:9090", environment="prod", looked_at=NOW),),
    deleted_at=later(60),
    watched=13,
    troubles=(Trouble(at=later(90), about="m1", sentence="It failed."),),
).but(state=State.COMPLETED, ended_at=later(3660))


def bound(rotation: Rotation = ENDED) -> audit.Written:
    entry = audit.entry(Kind.CHANGE, rotation, EVENT, NOW.isoformat(), "T1-0a1b2c3d")
    return audit.written(entry, rotation, None, audit.Head(41, "a" * 64))


def printed(rotation: Rotation = ENDED) -> dict[str, Any]:
    made = bound(rotation)
    return json.loads(json.dumps(receipt.document(made.rotation, made.record, made.line)))


def told(document: object, head: str | None = None) -> str:
    """What is wrong with a receipt."""
    with pytest.raises(Fault) as fault:
        receipt.verified(document if isinstance(document, str) else json.dumps(document), head)
    return str(fault.value)


def test_a_receipt_says_what_was_decided_by_whom_when_and_on_what_evidence():
    said = printed()
    ours, other = said["models"]

    assert (said["old_key"]["id"], said["new_key"]["id"]) == ("pk_old", "pk_new")
    assert said["approvals"] == [{"by": "U_APPROVER", "at": NOW.isoformat()}]
    assert (ours["verdict"], ours["reason"]) == ("proved", "replacement served 3 requests")
    assert (other["verdict"], other["accepted"]["reason"]) == ("accepted", "tried it by hand")
    assert said["counts"] == {"proved": 1, "accepted": 1}
    assert (said["callers"]["answered"], said["old_key_use"][0]["requests"]) == (1204, 0)
    assert said["audit"] == {"entry": 42, "head": json.loads(said["proof"]["entry"])["hash"]}


def test_a_receipt_says_why_and_under_which_ticket_if_that_was_given():
    given = approval().but(reason="tried by hand")
    said = printed(ENDED.but(why="quarterly", ticket="OPS-4412", approvals=(given, approval("U_OTHER"))))

    assert (said["requested"]["why"], said["requested"]["ticket"]) == ("quarterly", "OPS-4412")
    assert [one.get("reason") for one in said["approvals"]] == ["tried by hand", None]
    assert receipt.verified(json.dumps(said)).rotation.why == "quarterly"
    assert set(printed()["requested"]) == {"by", "at"}


@pytest.mark.parametrize("text", [json.dumps(printed()), KEPT.read_text()], ids=["new", "as printed before"])
def test_a_whole_receipt_is_well_and_has_the_head_that_slack_shows(text):
    rotation, entry = receipt.verified(text)

    assert (rotation.id, rotation.audit_head) == ("rabc123", entry["hash"][:20])
    assert receipt.verified(text, f" `{rotation.audit_head}` ").entry == entry
    assert "The head is `" + entry["hash"][:20] + "`, and not the one that you gave" in told(text, "0" * 20)
    assert "A head has at least 20 digits" in told(text, "0")


FIELDS = {
    "models[1].verdict": lambda said: said["models"][1].update(verdict="proved"),
    "models[0].reason": lambda said: said["models"][0].update(reason="it is fine"),
    "models": lambda said: said["models"].pop(),
    "approvals[0].by": lambda said: said["approvals"][0].update(by="U_SOMEBODY"),
    "approvals[0].at": lambda said: said["approvals"][0].update(at=later(1).isoformat()),
    "deleted_at": lambda said: said.update(deleted_at=NOW.isoformat()),
    "counts.proved": lambda said: said["counts"].update(proved=2),
    "audit.head": lambda said: said["audit"].update(head="0" * 64),
    "note": lambda said: said.update(note="all is well"),
    "void_approvals": lambda said: said.pop("void_approvals"),
}


@pytest.mark.parametrize("place", FIELDS)
def test_an_edit_of_what_people_read_is_named(place):
    said = printed()
    FIELDS[place](said)

    assert told(said).startswith(f"`{place}` was edited: the receipt says ")


def edited(part: str, old: str, new: str) -> dict[str, Any]:
    """The receipt with an edit of its proof."""
    said = printed()
    assert old in said["proof"][part]
    said["proof"][part] = said["proof"][part].replace(old, new)
    return said


def unbound() -> dict[str, Any]:
    """The receipt of a rotation that ended under the version before."""
    said = printed()
    said["proof"]["entry"] = audit.chained(audit.entry(Kind.CHANGE, ENDED, EVENT, NOW.isoformat()), audit.Head())
    return said


PROOFS = {
    "the record": (
        edited("record", '"inconclusive"', '"proved"'),
        "The record in `proof` is not the one that entry 42",
    ),
    "no text that has bytes": (edited("record", "U_APPROVER", "\ud800"), "The record in `proof` is not the one that"),
    "its head": (edited("record", str(bound().rotation.audit_head), "0" * 20), "is not the one that entry 42 wrote"),
    "the entry": (edited("entry", "U_REQUESTER", "U_SOMEBODY"), "The audit entry in `proof` was changed"),
    "an entry that binds nothing": (unbound(), "An earlier version of Keyturn wrote entry 1, which binds no record"),
    "another format": (printed() | {"receipt": 2}, "This receipt has another format"),
    "no proof": ({"receipt": 1}, "This is not a receipt that Keyturn printed."),
    "no text in it": (printed() | {"proof": {"entry": 1, "record": None}}, "This is not a receipt that Keyturn"),
    "a field twice": (json.dumps(printed()).replace("{", '{"state": "FAILED", ', 1), "This is not a receipt"),
    "no JSON": ("Receipt.", "This is not a receipt that Keyturn printed."),
}


@pytest.mark.parametrize(("document", "sentence"), PROOFS.values(), ids=PROOFS)
def test_a_receipt_that_proves_nothing_is_one_sentence(document, sentence):
    assert sentence in told(document)


def test_a_receipt_of_an_edited_record_has_another_head():
    genuine = bound().rotation.audit_head
    forged = printed(ENDED.but(approvals=(approval("U_SOMEBODY"),)))

    assert receipt.verified(json.dumps(forged))
    assert "not the one that you gave" in told(forged, genuine)


async def test_a_printed_receipt_is_verified_alone_and_says_what_to_compare_it_with(store, capsys):
    saved = await store.save(ENDED.but(version=0), EVENT, at=NOW)
    await store.note(Kind.CLICK, EVENT, rotation=saved, at=NOW)
    await receipts.print_receipt([store], saved.id)
    text = capsys.readouterr().out

    assert (receipts.verify_receipt(text, None), receipts.verify_receipt(text, saved.audit_head)) == (True, True)
    assert not receipts.verify_receipt(text.replace('"proved"', '"likely"', 1), None)
    alone, compared, wrong = capsys.readouterr().out.splitlines()
    assert alone.startswith(
        "ok     receipt: rotation rabc123 is as entry 1 of the audit trail recorded it, at version 1."
    )
    assert f"The head is `{saved.audit_head}`, to be compared with the receipt in Slack" in alone
    assert compared.endswith(f"The head is `{saved.audit_head}`, which is the head that you gave.")
    assert wrong == "WRONG  receipt: `counts.likely` was edited: the receipt says 1, and the record nothing."


@pytest.mark.parametrize(
    ("id_", "sentence"),
    [
        ("rnone22", "There is no rotation rnone22"),
        ("rabc123", "is running: a receipt comes with the delete"),
    ],
)
async def test_without_a_delete_there_is_no_receipt(store, id_, sentence):
    await store.save(running(), EVENT, at=NOW)

    with pytest.raises(Refused, match=sentence):
        await receipts.print_receipt([store], id_)
