"""What is said of a guard that is taken out, in a tree of two files."""

import shutil
from pathlib import Path

import pytest

from tests.guards.guard import Guard
from tests.guards.taking_out import tried
from tests.support.documents import ROOT

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
    outcomes = tried([Guard("if age > 9:", f"test_that_{name}", tree=tree) for name in SAID], str, tree)

    assert {outcome.guard.test_name[10:]: str(outcome).split()[0] for outcome in outcomes} == SAID
    assert [outcome.guard.test_name for outcome in outcomes if outcome.is_noticed] == ["test_that_notices"]
    assert (tree / "bot/guarded.py").read_text() == GUARDED
