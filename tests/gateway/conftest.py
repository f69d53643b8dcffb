"""Stories between real gateways and a real etcd: collected only where AISIX_BIN names a gateway's program."""

import os

import pytest

from sandbox.gateways import missing

RUNS = 2
"""How often a story that depends on chance is told; `--runs 20` for the figures of the guide."""

collect_ignore_glob = ["test_*.py"] if missing(os.environ.get("AISIX_BIN")) else []


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--runs", type=int, default=RUNS, help="how often a story that depends on chance is told")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "run" in metafunc.fixturenames:
        metafunc.parametrize("run", range(metafunc.config.getoption("--runs")))
