"""The table of guards is true to the code, the tests and the guide."""

import pytest

from tests.guards.guard import Guard, Moved
from tests.guards.guide import GUIDE, page
from tests.guards.table import GUARDS
from tests.support.documents import ROOT, read


@pytest.mark.parametrize("guard", GUARDS, ids=[guard.prevents for guard in GUARDS])
def test_the_code_of_a_guard_and_its_test_are_there_once_and_the_guard_can_be_taken_out(guard: Guard) -> None:
    assert guard.taken_out() != (ROOT / guard.file).read_text()
    assert guard.test.startswith("tests/")


def test_every_guard_says_what_it_prevents_in_a_sentence() -> None:
    assert [guard.prevents for guard in GUARDS if not guard.prevents.endswith(".") or "|" in guard.prevents] == []


def test_the_guide_has_the_list_of_the_table() -> None:
    assert page() == read(GUIDE), "write it again: make guards ARGS=--guide"


@pytest.mark.parametrize("code", ["nothing like this is there", "import"], ids=["gone", "several times"])
def test_a_guard_that_is_not_there_exactly_once_is_an_error(code: str) -> None:
    with pytest.raises(Moved, match=code):
        GUARDS[0]._replace(code=code).taken_out()
