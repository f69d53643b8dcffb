"""On the way back a model has to do what it did before; where nobody knows that, the key at least is not to blame."""

import pytest

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.finding import Finding
from bot.steps.verify_back import answers_as_before
from tests.bot.values import NOW


def seen(verdict: Verdict, signature: str, **fields: bool) -> Evidence:
    return Evidence(verdict=verdict, reason="as it is", at=NOW, signature=signature, **fields)


GOOD = seen(Verdict.LIKELY, "200")
GONE = seen(Verdict.INCONCLUSIVE, "404 upstream_error", of_upstream=True, of_request=True)
DOWN = seen(Verdict.INCONCLUSIVE, "503 upstream_error", of_upstream=True)
REFUSED = seen(Verdict.REJECTED, "401 upstream_error", of_upstream=True, of_request=True, blames_credential=True)
LACKED = seen(Verdict.REJECTED, "404 upstream_error", of_upstream=True, of_request=True, lacks_model=True)
NO_ROW = seen(Verdict.PROJECTION, "400 invalid_request_error")


@pytest.mark.parametrize(
    ("baseline", "latest", "as_before"),
    [
        (GOOD, None, False),
        (GOOD, GOOD, True),
        (GOOD, GONE, False),
        (GONE, GONE, True),
        (GONE, GOOD, True),
        (REFUSED, REFUSED, True),
        (None, GOOD, True),
        (None, GONE, True),
        (None, DOWN, False),
        (None, REFUSED, False),
        (None, LACKED, False),
        (GOOD, LACKED, False),
        (LACKED, LACKED, True),
        (None, NO_ROW, False),
        (None, seen(Verdict.SKIPPED, ""), True),
    ],
)
def test_a_model_is_back_when_it_answers_as_before(baseline, latest, as_before):
    assert answers_as_before(Finding(baseline=baseline, latest=latest)) is as_before
