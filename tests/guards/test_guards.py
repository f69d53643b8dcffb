"""The table of guards is true to the code, the tests and the guide; and what is said of a guard that is taken out."""

import shutil
from pathlib import Path

import pytest

from tests.guards.guard import Guard, Moved
from tests.guards.guide import GUIDE, page
from tests.guards.table import GUARDS
from tests.guards.taking_out import tried
from tests.support.documents import ROOT, read


def test_the_code_of_each_guard_and_its_test_are_there_once_and_the_guard_can_be_taken_out() -> None:
    assert [guard for guard in GUARDS if guard.taken_out() == (ROOT / guard.file).read_text()] == []
    assert [guard for guard in GUARDS if not guard.test.startswith("tests/")] == []
    assert [guard for guard in GUARDS if not guard.prevents.endswith(".")] == [], "it is a sentence"


def test_the_guide_has_the_list_of_the_table() -> None:
    assert page() == read(GUIDE), "write it again: make guards ARGS=--guide"


@pytest.mark.parametrize("code", ["nothing like this is there", "import"], ids=["gone", "several times"])
def test_a_guard_that_is_not_there_exactly_once_is_an_error(code: str) -> None:
    with pytest.raises(Moved, match=code):
        GUARDS[0]._replace(code=code).taken_out()


# --- in a tree of two files ---

GUARDED = """
def may(age):
    if age > 9:
        return False
    return True
"""
TESTS = """
from bot.guarded import may

def test_that_notices(): assert not may(10)
def test_that_looks_away(): assert may(3)
def test_that_trips(): {False: "fine"}[may(10)]
def test_that_is_red(): assert may(10)
"""
SAID = {"notices": "noticed", "looks_away": "UNNOTICED", "trips": "BROKEN", "is_red": "RED"}


def test_a_guard_is_noticed_by_a_test_that_passes_with_it_and_asserts_what_is_not_so_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the tests
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout")
    tree = tmp_path / "tree"
    shutil.copytree(ROOT / "tests/guards", tree / "tests/guards", ignore=shutil.ignore_patterns("test_*"))
    (tree / "bot").mkdir()
    (tree / "bot/guarded.py").write_text(GUARDED)
    (tree / "tests/test_guarded.py").write_text(TESTS)
    outcomes = tried([Guard("if age > 9:", f"test_that_{name}") for name in SAID], str, tree)

    assert {outcome.guard.test_name[10:]: str(outcome).split()[0] for outcome in outcomes} == SAID
    assert [outcome.guard.test_name for outcome in outcomes if outcome.is_noticed] == ["test_that_notices"]
    assert (tree / "bot/guarded.py").read_text() == GUARDED
