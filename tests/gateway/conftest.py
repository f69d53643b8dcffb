"""Stories between real gateways and a real etcd: collected only where AISIX_BIN names a gateway's program."""

import os

import pytest

from sandbox.gateways import missing

RUNS = 2
"""How often a story that depends on chance is told; `--runs 20` for the figures of the guide."""

collect_ignore_glob = ["test_*.py"] if missing(os.environ.get("AISIX_BIN")) else []


LONG = 600
"""Seconds that a story may take: on a busy machine a rotation of 100 models takes minutes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        item.add_marker(pytest.mark.timeout(LONG))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runs", type=int, default=RUNS, help="how often a story that depends on chance is told")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "run" in metafunc.fixturenames:
        metafunc.parametrize("run", range(metafunc.config.getoption("--runs")))
