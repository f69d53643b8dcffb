"""What speaks against the delete, and the mark by which a click or a form tells what of it was shown."""

from datetime import timedelta

import pytest

from bot.rotation.counted import Tally
from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.flags import FAILING, SAID, Flag, flags, not_weighed, shown_of
from handlers.views.evidence import against
from tests.bot.values import FLAGGED, NOT_PROBED, NOW, approval, running, silence

PROVED = Evidence(verdict=Verdict.PROVED, reason="served", at=NOW)
UNCLEAR = Evidence(verdict=Verdict.INCONCLUSIVE, reason="limited", at=NOW, signature="429")
FAILED = Evidence(verdict=Verdict.REJECTED, reason="not there", at=NOW, signature="404", of_upstream=True)
WORD = Acceptance(by="U_APPROVER", at=NOW, reason="by hand", of="429")


def of(evidence: Evidence, **known: object) -> dict[str, object]:
    return {"findings": {"m1": Finding(moved_at=NOW, latest=evidence, verdict=evidence, **known)}}


TABLE = [
    ({}, ()),
    *((fields, (flag,)) for flag, fields in FLAGGED.items()),
    ({"silences": (silence(),)}, ()),
    ({"silences": (silence().but(heard_at=NOW - timedelta(seconds=1)),)}, ()),
    ({"tally": Tally(since=NOW, answered=9, limited=3)}, ()),
    ({"looks": FLAGGED[Flag.UNSEEN]["looks"]}, ()),
    ({"looks": FLAGGED[Flag.UNSEEN]["looks"], "tally": Tally(since=NOW)}, (Flag.UNSEEN,)),
    (of(PROVED), ()),
    (of(UNCLEAR, accepted=WORD), (Flag.UNPROVED,)),
    (of(FAILED, baseline=FAILED), (Flag.UNPROVED,)),
    ({"findings": {"m1": Finding(latest=NOT_PROBED)}}, ()),
    (FLAGGED[Flag.UNPROVED] | FLAGGED[Flag.FAILED] | FLAGGED[Flag.IN_USE], (Flag.IN_USE, Flag.FAILED, Flag.UNPROVED)),
]


@pytest.mark.parametrize(("fields", "found"), TABLE)
def test_what_speaks_against_the_delete_is_found_the_worst_first_and_each_is_said(fields, found):
    record = running(**fields)

    assert flags(record) == found
    assert len(against(record)) == len(found)


@pytest.mark.parametrize("flag", FLAGGED)
def test_the_mark_of_what_is_shown_is_that_of_the_models_and_of_every_flag(flag):
    plain, flagged = running(), running(**FLAGGED[flag])

    assert shown_of(plain) == plain.seen
    assert shown_of(flagged).startswith(f"{flagged.seen}-")
    assert shown_of(flagged) == shown_of(flagged.but(version=9, note="n"))


def test_another_number_or_another_place_is_another_mark_and_no_later_look_is():
    failed, unseen = (running(**FLAGGED[flag]) for flag in (Flag.FAILED, Flag.UNSEEN))
    third = unseen.looks["prod"] | {"http://r:3": unseen.looks["prod"]["http://r:2"].but(url="http://r:3")}

    assert shown_of(failed) != shown_of(failed.but(tally=Tally(since=NOW, failed=3)))
    assert shown_of(failed) == shown_of(failed.but(tally=Tally(since=NOW, answered=99, failed=2)))
    assert shown_of(unseen) != shown_of(unseen.but(looks={"prod": third}))


def test_an_approval_covers_only_the_flags_that_its_giver_was_shown():
    failed = FLAGGED[Flag.FAILED]
    blind, told = approval(), approval("U_SECOND").but(flags=(Flag.FAILED,))

    assert list(not_weighed(running(**failed, approvals=(told,)))) == []
    assert list(not_weighed(running(**failed, approvals=(told, blind)))) == [SAID[Flag.FAILED]]
    assert list(not_weighed(running(**failed | FLAGGED[Flag.IN_USE], approvals=(told,)))) == [SAID[Flag.IN_USE]]
    assert list(not_weighed(running(approvals=(told, blind)))) == []
    assert set(SAID) == set(Flag)


@pytest.mark.parametrize(
    ("shown", "now", "said"),
    [
        ((990, 1), (990, 6), [FAILING]),
        ((990, 1), (990, 5), []),
        ((990, 1), (995, 6), []),
        ((0, 1), (0, 501), [FAILING]),
        ((1, 5), (1, 501), []),
    ],
)
def test_an_approval_does_not_cover_that_most_requests_fail_since_unless_its_giver_was_told_so(shown, now, said):
    then, later = (Tally(since=NOW, answered=answered, failed=failed) for answered, failed in (shown, now))
    told = approval().but(flags=(Flag.FAILED,), tally=then)

    assert list(not_weighed(running(tally=later, approvals=(told,)))) == said
    assert list(not_weighed(running(tally=later, approvals=(told.but(tally=None),)))) == []
