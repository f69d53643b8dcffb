"""What is said of a guard that is taken out, in a tree of two files."""

import shutil
from pathlib import Path

import pytest

from tests.guards.__main__ import line
from tests.guards.guard import Guard
from tests.guards.taking_out import tried
from tests.support.forked import ROOT

GUARDED = """
def may(age):
    if age > 9:
        return False
    return True
"""
TESTS = """
from guarded import may

def test_that_notices(): assert not may(10)
def test_that_looks_away(): assert may(3)
def test_that_trips(): {False: "fine"}[may(10)]
def test_that_is_red(): assert may(10)
"""
SAID = {"notices": "noticed", "looks_away": "UNNOTICED", "trips": "BROKEN", "is_red": "RED"}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree" / "tests" / "guards"
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "tests" / "guards" / "judge.py", folder)
    (tmp_path / "tree" / "guarded.py").write_text(GUARDED)
    (tmp_path / "tree" / "test_guarded.py").write_text(TESTS)
    return tmp_path / "tree"


def test_a_guard_is_noticed_by_a_test_that_passes_with_it_and_asserts_what_is_not_so_without(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # they take longer than the tests
    monkeypatch.setenv("PYTEST_PLUGINS", "pytest_timeout")
    guards = [Guard("", "guarded.py", "if age > 9:", f"test_guarded.py::test_that_{name}", name=name) for name in SAID]
    outcomes = tried(guards, lambda _: None, tree, imported=())

    assert {outcome.guard.name: line(outcome).split()[0] for outcome in outcomes} == SAID
    assert [outcome.guard.name for outcome in outcomes if outcome.is_noticed] == ["notices"]
    assert (tree / "guarded.py").read_text() == GUARDED
