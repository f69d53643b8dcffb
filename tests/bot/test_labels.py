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


OFF = seen(Verdict.REJECTED, "404 upstream_error", of_upstream=True)
WORD = Acceptance(by="U_APPROVER", at=NOW, reason="their fault", of="429")
TABLE = [
    (Finding(), Label.NOT_MOVED),
    (Finding(moved_at=NOW), Label.MOVED),
    *((Finding(moved_at=NOW, latest=seen(v)), Label(v)) for v in Verdict if v is not Verdict.SKIPPED),
    (Finding(moved_at=NOW, latest=seen(Verdict.SKIPPED)), Label.NOT_PROBED),
    (Finding(moved_at=NOW, latest=seen(Verdict.LIKELY), verdict=seen(Verdict.PROVED)), Label.PROVED),
    (Finding(moved_at=NOW, latest=seen(Verdict.LIKELY), verdict=seen(Verdict.INVALID)), Label.INVALID),
    (Finding(moved_at=NOW, latest=seen(Verdict.INCONCLUSIVE), accepted=WORD), Label.ACCEPTED),
    (Finding(moved_at=NOW, latest=seen(Verdict.INCONCLUSIVE, "500"), accepted=WORD), Label.INCONCLUSIVE),
    (Finding(moved_at=NOW, latest=seen(Verdict.REJECTED), accepted=WORD), Label.REJECTED),
    (Finding(moved_at=NOW, baseline=OFF, latest=OFF), Label.AS_BEFORE),
    (Finding(moved_at=NOW, baseline=OFF, latest=OFF, accepted=WORD), Label.AS_BEFORE),
    (Finding(moved_at=NOW, baseline=OFF, latest=OFF.but(unfit=True)), Label.REJECTED),
]


def test_a_finding_has_one_label():
    assert [label_of(finding) for finding, _ in TABLE] == [label for _, label in TABLE]
    assert {label for _, label in TABLE} == set(Label)


REFUSED = seen(Verdict.REJECTED, "401 upstream_error", blames_credential=True)


@pytest.mark.parametrize(
    ("finding", "failing"),
    [
        (Finding(moved_at=NOW, latest=REFUSED), None),
        (Finding(moved_at=NOW, latest=OFF), 1),
        (Finding(moved_at=NOW, latest=OFF, baseline=OFF), 0),
        (Finding(moved_at=NOW, latest=seen(Verdict.LIKELY)), 0),
        (Finding(latest=REFUSED), 0),
    ],
)
def test_a_refused_key_fails_all_that_is_moved_and_a_refused_model_only_itself(finding, failing):
    assert failing_models(rotation(State.RUNNING, findings={"m1": finding})) == failing
