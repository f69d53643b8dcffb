"""Takes guards out of a copy of the tree, one at a time, and runs the test that has to notice."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.guards.guard import Guard
from tests.guards.judge import BROKEN, FAILED, PASSED
from tests.support.documents import ROOT

AT_ONCE = 2
NOT_COPIED = (".git", ".venv", ".*_cache", "__pycache__", "var", "pictures")
PYTEST = (sys.executable, "-m", "pytest", "-q", "--tb=no", "--timeout=120", "-p", "tests.guards.judge")


class Outcome(NamedTuple):
    """What became of the test of one guard."""

    guard: Guard
    before: str
    """What the test came to with the guard."""

    after: str = ""
    """What it came to without; empty where that was not tried."""

    @property
    def is_noticed(self) -> bool:
        """Tell whether the test passes, and fails without the guard because what it asserts is not so."""
        return (self.before, self.after) == (PASSED, FAILED)

    def __str__(self) -> str:
        """Say in one line what became of the guard."""
        said = f"{self.guard.test}  {self.guard.prevents}"
        if self.is_noticed:
            return f"noticed    {said}"
        if self.before != PASSED:
            return f"RED        {said} The test does not pass with the guard in."
        if self.after == PASSED:
            return f"UNNOTICED  {said} The test passes without the guard."
        return f"BROKEN     {said} The test fails without it, and by no assertion."


def outcomes(guards: Sequence[Guard], folder: Path) -> Iterator[Outcome]:
    """Run the tests of *guards* in *folder*, and then each of them without its guard."""
    before = came_to([guard.test for guard in guards], folder)
    for guard in guards:
        if before[guard.test] == PASSED:
            yield Outcome(guard, PASSED, without(guard, folder))
        else:
            yield Outcome(guard, before[guard.test])


def without(guard: Guard, folder: Path) -> str:
    """Take *guard* out, and return what its test comes to."""
    file = folder / guard.file
    whole, times = file.read_text(), file.stat()
    file.write_text(guard.taken_out())
    try:
        return came_to([guard.test], folder)[guard.test]
    finally:
        file.write_text(whole)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # what was compiled without the guard counts no more


def came_to(tests: Iterable[str], folder: Path) -> dict[str, str]:
    """Run *tests*, and return what each came to."""
    wanted = list(dict.fromkeys(tests))
    ran = subprocess.run([*PYTEST, *wanted], cwd=folder, capture_output=True, text=True, check=False)
    last = ran.stdout.rstrip().rpartition("\n")[2]
    found = json.loads(last) if last.startswith("{") else {}
    return {test: found.get(test, BROKEN) for test in wanted}


def tried(guards: Sequence[Guard], say: Callable[[Outcome], None], tree: Path = ROOT) -> list[Outcome]:
    """Try every guard, `AT_ONCE` at a time, and *say* what became of each as soon as it is known."""

    def part(number: int) -> list[Outcome]:
        found = []
        copy = Path(folder) / str(number)
        shutil.copytree(tree, copy, ignore=shutil.ignore_patterns(*NOT_COPIED))
        for outcome in outcomes([guard._replace(tree=copy) for guard in guards[number::AT_ONCE]], copy):
            say(outcome)
            found.append(outcome)
        return found

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        return [outcome for part_ in pool.map(part, range(min(AT_ONCE, len(guards)))) for outcome in part_]
