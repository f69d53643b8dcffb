"""`python -m tests.guards.judge [MODULE…]`: runs tests, and says what each came to; a line of JSON in, a line out.

Each run is a process of its own, so that it meets the code as it is then. It is forked from one that has imported
these modules: that takes longer than most of the tests.
"""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Generator, Iterable
from typing import Any

import pytest

PASSED, FAILED, BROKEN = "passed", "failed", "broken"
"""A test fails if what it asserts is not so; whatever else goes wrong says nothing about a guard."""

OPTIONS = ("-q", "--tb=short", "--timeout=60", "-W", "ignore::pytest.PytestAssertRewriteWarning")
"""The warning is of pytest's own plugins, which have been imported."""


class Judge:
    """Notes what became of each test; of the cases of one test, the failure counts."""

    def __init__(self) -> None:
        self.verdicts: dict[str, str] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
        report = yield
        test = item.nodeid.partition("[")[0]
        if report.failed:
            self._note(test, FAILED if call.when == "call" and _is_unmet(call.excinfo) else BROKEN)
        elif call.when == "call":
            self._note(test, PASSED)
        return report

    def _note(self, test: str, verdict: str) -> None:
        self.verdicts[test] = min(self.verdicts.get(test, verdict), verdict, key=(FAILED, BROKEN, PASSED).index)


def _is_unmet(found: pytest.ExceptionInfo[BaseException] | None) -> bool:
    """Tell whether an assertion was not met, or what should be raised was not; a test that hangs says nothing."""
    unmet = found is not None and found.errisinstance((AssertionError, pytest.fail.Exception))
    return unmet and "pytest-timeout" not in str(found and found.value)


def judged(tests: Iterable[str]) -> dict[str, str]:
    """Run *tests* in a process of their own."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        judge = Judge()
        with contextlib.suppress(BaseException), open(os.devnull, "w") as nowhere:  # noqa: PTH123
            for stream in (1, 2):
                os.dup2(nowhere.fileno(), stream)
            pytest.main([*OPTIONS, *tests], plugins=[judge])
        os.write(writing, json.dumps(judge.verdicts).encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        told = answer.read()
    os.waitpid(pid, 0)
    return dict(json.loads(told or "{}"))


if __name__ == "__main__":
    for name in sys.argv[1:]:
        importlib.import_module(name)
    for line in sys.stdin:
        wanted = json.loads(line)
        sys.dont_write_bytecode = not wanted["keep"]
        sys.stdout.write(json.dumps(judged(wanted["tests"])) + "\n")
        sys.stdout.flush()
