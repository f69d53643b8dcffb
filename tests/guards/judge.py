"""A plugin of pytest: says, as the last line that is printed, what each test came to."""

import json
from collections.abc import Generator
from typing import Any

import pytest

PASSED, FAILED, BROKEN = "passed", "failed", "broken"
"""A test fails if what it asserts is not so; whatever else goes wrong says nothing about a guard."""

verdicts: dict[str, str] = {}
"""Of the cases of one test, the failure counts."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    report = yield
    test = item.nodeid.partition("[")[0]
    if report.failed or call.when == "call":
        unmet = call.when == "call" and _is_unmet(call.excinfo)
        verdict = (FAILED if unmet else BROKEN) if report.failed else PASSED
        verdicts[test] = min(verdicts.get(test, verdict), verdict, key=(FAILED, BROKEN, PASSED).index)
    return report


def _is_unmet(found: pytest.ExceptionInfo[BaseException] | None) -> bool:
    """Tell whether an assertion was not met, or what should be raised was not; a test that hangs says nothing."""
    unmet = found is not None and found.errisinstance((AssertionError, pytest.fail.Exception))
    return unmet and "pytest-timeout" not in str(found and found.value)


def pytest_unconfigure() -> None:
    print("\n" + json.dumps(verdicts))
