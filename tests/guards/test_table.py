"""The table of guards is true to the code, the tests and the guide."""

import ast
from functools import cache

import pytest

from tests.guards.guard import Guard, Moved
from tests.guards.guide import GUIDE, page
from tests.guards.table import GUARDS
from tests.support.forked import ROOT

EVERY = pytest.mark.parametrize("guard", GUARDS, ids=[guard.name for guard in GUARDS])


@cache
def names_in(file: str) -> frozenset[str]:
    """Return the names of the tests of a file."""
    found = ast.walk(ast.parse((ROOT / file).read_text()))
    return frozenset(node.name for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


@EVERY
def test_the_code_of_a_guard_is_there_once_and_can_be_taken_out(guard: Guard) -> None:
    assert guard.taken_out() != (ROOT / guard.file).read_text()


@EVERY
def test_the_test_of_a_guard_is_there(guard: Guard) -> None:
    file, _, name = guard.test.partition("::")

    assert name in names_in(file)


def test_every_guard_has_a_name_of_its_own_and_says_what_it_prevents_in_a_sentence() -> None:
    assert len({guard.name for guard in GUARDS}) == len(GUARDS)
    assert not [guard.name for guard in GUARDS if not guard.prevents.endswith(".") or "|" in guard.prevents]


def test_the_guide_has_the_list_of_the_table() -> None:
    assert page() in GUIDE.read_text(), "write it again: make guards ARGS=--guide"


@pytest.mark.parametrize("code", ["nothing like this is there", "import"], ids=["gone", "several times"])
def test_a_guard_that_is_not_there_exactly_once_is_an_error(code: str) -> None:
    with pytest.raises(Moved, match=r"bot/rotation/policy\.py"):
        GUARDS[0]._replace(file="bot/rotation/policy.py", code=code).taken_out()
