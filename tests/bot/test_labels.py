"""What a finding comes to in a word, and what follows: one table for cards, receipts and what may be accepted."""

from typing import Any

import pytest

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Acceptance, Finding
from bot.rotation.labels import Label, failing_models, label_of
from bot.rotation.states import State
from tests.bot.values import NOW, rotation


def seen(verdict: Verdict, signature: str = "429", **fields: Any) -> Evidence:
    return Evidence(verdict=verdict, reason="a reason", at=NOW, signature=signature, **fields)


def moved(latest: Evidence, **fields: Any) -> Finding:
    return Finding(moved_at=NOW, latest=latest, **fields)


OFF = seen(Verdict.REJECTED, "404 upstream_error", of_upstream=True)
REFUSED = seen(Verdict.REJECTED, "401 upstream_error", blames_credential=True, of_upstream=True)
GOOD = seen(Verdict.LIKELY, of_upstream=True)
BAD, WORSE = (seen(Verdict.INCONCLUSIVE, status, of_upstream=True) for status in ("502", "504"))
NO_CONNECTION, CACHED = seen(Verdict.INCONCLUSIVE, "no connection"), seen(Verdict.INVALID, "200")
WORD = Acceptance(by="U_APPROVER", at=NOW, reason="their fault", of="429")
TABLE = [
    (Finding(), Label.NOT_MOVED),
    (Finding(moved_at=NOW), Label.MOVED),
    *((moved(seen(v)), Label(v)) for v in Verdict if v is not Verdict.SKIPPED),
    (moved(seen(Verdict.SKIPPED)), Label.NOT_PROBED),
    (moved(seen(Verdict.LIKELY), verdict=seen(Verdict.PROVED)), Label.PROVED),
    (moved(seen(Verdict.LIKELY), verdict=seen(Verdict.INVALID)), Label.INVALID),
    (moved(seen(Verdict.INCONCLUSIVE), accepted=WORD), Label.ACCEPTED),
    (moved(seen(Verdict.INCONCLUSIVE, "500"), accepted=WORD), Label.INCONCLUSIVE),
    (moved(seen(Verdict.REJECTED), accepted=WORD), Label.REJECTED),
    (moved(BAD, baseline=BAD), Label.AS_BEFORE),
    (moved(WORSE, baseline=BAD), Label.INCONCLUSIVE),
    (moved(GOOD, baseline=GOOD), Label.LIKELY),
    (moved(REFUSED, baseline=REFUSED), Label.REJECTED),
    (moved(NO_CONNECTION, baseline=NO_CONNECTION), Label.INCONCLUSIVE),
    (moved(CACHED, baseline=CACHED), Label.INVALID),
    (moved(OFF, baseline=OFF, accepted=WORD), Label.AS_BEFORE),
    (moved(OFF.but(unfit=True), baseline=OFF), Label.REJECTED),
]


def test_a_finding_has_one_label():
    assert [label_of(finding) for finding, _ in TABLE] == [label for _, label in TABLE]
    assert {label for _, label in TABLE} == set(Label)


@pytest.mark.parametrize(
    ("finding", "failing"),
    [
        (moved(REFUSED), None),
        (moved(OFF), ["m1"]),
        (moved(OFF, baseline=OFF), []),
        (moved(seen(Verdict.LIKELY)), []),
        (Finding(latest=REFUSED), []),
    ],
)
def test_a_refused_key_fails_all_that_is_moved_and_a_refused_model_only_itself(finding, failing):
    found = failing_models(rotation(State.RUNNING, findings={"m1": finding}))
    assert (None if found is None else [model.id for model in found]) == failing
