"""Takes guards out of a copy of the tree, one at a time, and runs the test that has to notice."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from tests.guards.guard import Guard
from tests.guards.judge import BROKEN, FAILED, PASSED
from tests.support.forked import ROOT

AT_ONCE = 2
IMPORTED = (
    "aiohttp.web", "httpx", "hypothesis", "prometheus_client.parser", "pydantic_settings", "pytest_asyncio.plugin",
    "redis.asyncio", "saq.queue.redis", "slack_bolt.async_app", "stamina", "structlog",
)  # fmt: skip
"""All that the project imports: it does not change with a guard."""

NOT_COPIED = (".git", ".venv", ".*_cache", "__pycache__", "var", "pictures")


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


class Copy:
    """A copy of the tree, in which one guard at a time is missing, and a process that judges there."""

    def __init__(self, tree: Path, folder: Path, imported: Iterable[str]) -> None:
        self.folder = folder
        shutil.copytree(tree, folder, ignore=shutil.ignore_patterns(*NOT_COPIED))
        command = [sys.executable, "-m", "tests.guards.judge", *imported]
        self._judge = subprocess.Popen(command, cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def close(self) -> None:
        """End the process."""
        self._judge.communicate()

    def tried(self, guards: Sequence[Guard]) -> Iterator[Outcome]:
        """Run the tests of *guards*, and then each of them without its guard."""
        before = self.run([guard.test for guard in guards])
        for guard in guards:
            if before[guard.test] == PASSED:
                with self.without(guard):
                    yield Outcome(guard, PASSED, self.run([guard.test], keep=False)[guard.test])
            else:
                yield Outcome(guard, before[guard.test])

    @contextmanager
    def without(self, guard: Guard) -> Iterator[None]:
        """Have *guard* taken out until the end of the block."""
        file = self.folder / guard.file
        whole, times = file.read_text(), file.stat()
        file.write_text(guard.taken_out(self.folder))
        try:
            yield
        finally:
            file.write_text(whole)
            os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))  # so that what was compiled of it still counts

    def run(self, tests: Iterable[str], *, keep: bool = True) -> dict[str, str]:
        """Run *tests*, and return what each came to; *keep* what is compiled for the next run."""
        wanted = list(dict.fromkeys(tests))
        assert self._judge.stdin
        assert self._judge.stdout
        self._judge.stdin.write(json.dumps({"tests": wanted, "keep": keep}) + "\n")
        self._judge.stdin.flush()
        found = json.loads(self._judge.stdout.readline())
        return {test: found.get(test, BROKEN) for test in wanted}


def tried(
    guards: Sequence[Guard],
    say: Callable[[Outcome], None],
    tree: Path = ROOT,
    imported: Iterable[str] = IMPORTED,
) -> list[Outcome]:
    """Try every guard, `AT_ONCE` at a time, and *say* what became of each as soon as it is known."""

    def part(number: int) -> list[Outcome]:
        found = []
        with closing(Copy(tree, Path(folder) / str(number), imported)) as copy:
            for outcome in copy.tried(guards[number::AT_ONCE]):
                say(outcome)
                found.append(outcome)
        return found

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        return [outcome for outcomes in pool.map(part, range(min(AT_ONCE, len(guards)))) for outcome in outcomes]
