"""Who may know whom."""

import ast
import re
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bot.rotation.states import TRACKS, StepName
from bot.rotation.stops import Cause
from bot.steps import RUN

ROOT = Path(__file__).parents[2]
MAY_KNOW = {
    "bot/rotation": set[str](),
    "bot/aisix": {"rotation", "telemetry", "proxies", "credentials"},
    "bot/providers": {"rotation", "aisix", "telemetry", "settings", "sources"},
    "bot/oidc": {"rotation", "aisix", "settings"},
    "bot/sources": {"rotation", "aisix", "settings"},
    "bot/storage": {"rotation", "telemetry", "settings", "terminal"},
    "bot/steps": {"rotation"},
    "bot/service": {"rotation", "steps", "storage"},
    "bot/recovery": {"rotation", "steps", "storage", "engine", "service", "terminal"},
    "bot/commands": {"rotation", "storage", "service", "terminal"},
    "handlers": {
        "proxies",
        "credentials",
        "oidc",
        "rotation",
        "service",
        "settings",
        "telemetry",
        "__version__",
    },
    "handlers/views": {"rotation"},
}
"""Folders, and which rooms and files of the bot each may import beside itself."""

FLOORS = (
    "__version__", "terminal", "proxies", "credentials", "rotation", "telemetry", "aisix", "settings", "sources",
    "providers", "oidc", "http", "storage", "gauges", "steps", "limits", "engine", "service", "recovery", "commands",
    "worker", "sign_in", "app", "check", "start", "secret_command", "cli", "__main__",
)  # fmt: skip
"""The rooms and files of the bot; each imports only what stands before it."""

PURE = ("answers", "counters", "pages", "reading", "sameness", "untrusted_json", "waiting")
"""What reads pages and answers of AISIX without asking for them."""

FOR_SLACK = ("bot/app.py", "bot/start.py", "bot/cli.py")
"""What puts the bot and its handlers together."""

CORE = {
    "base64", "bot", "collections", "contextlib", "dataclasses", "datetime", "difflib", "email", "enum", "fnmatch",
    "functools", "hashlib", "hmac", "itertools", "json", "math", "operator", "prometheus_client", "pydantic", "re",
    "secrets", "ssl", "traceback", "typing", "unicodedata", "urllib", "zoneinfo",
}  # fmt: skip
"""What the core may import: nothing of it reaches a file, a socket, a process or a clock, with `OUTSIDE` left out."""

OUTSIDE = {"urllib.request", "urllib.error"}
TO_WAIT = {"asyncio", "importlib", "random", "time"}
"""What steps may import besides: they wait, keep their calls apart, and are found by their names."""


@cache
def files(*folders: str) -> tuple[Path, ...]:
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    assert len(found) > 2, "there are files to look at"
    return tuple(sorted(found))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@cache
def imports(path: Path) -> frozenset[str]:
    """Every module that a file imports, wherever it does so."""
    found = set()
    for node in parsed(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import says the whole way"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(found)


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


def rooms(path: Path) -> set[str]:
    """The rooms and files of the bot that a file imports from."""
    return {module.split(".")[1] for module in imports(path) if module.startswith("bot.")}


@cache
def words_of(path: Path) -> frozenset[str]:
    """Every string in a file that is no docstring."""
    said = {id(node.value) for node in parsed(path) if isinstance(node, ast.Expr)}
    strings = (node for node in parsed(path) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(node.value for node in strings if id(node) not in said)


def called(path: Path) -> set[str]:
    """The names of all that a file calls."""
    return {ast.unparse(node.func).rpartition(".")[2] for node in parsed(path) if isinstance(node, ast.Call)}


def floor(path: Path) -> str:
    return path.parts[len(ROOT.parts) + 1].removesuffix(".py")


def wrong(paths: Iterable[Path], found: Callable[[Path], Iterable[Any]]) -> dict[str, set[Any]]:
    """What is *found* in each file, where there is something."""
    return {name(path): one for path in paths if (one := set(found(path)))}


OURS = files("bot", "handlers")
NEVER = {
    "the bot, Slack or its handlers": (
        [path for path in files("bot") if name(path) not in FOR_SLACK],
        {"handlers", "slack_bolt", "slack_sdk"},
    ),
    "the bot and its handlers, the sandbox or the tests": (OURS, {"sandbox", "tests"}),
    "the sandbox, the bot": (files("sandbox"), {"bot", "handlers", "tests"}),
}


@pytest.mark.parametrize("rule", NEVER)
def test_no_file_imports_what_its_rule_forbids(rule):
    paths, never = NEVER[rule]

    assert wrong(paths, lambda path: roots(path) & never) == {}


PURE_FILES = [*files("bot/rotation"), *(ROOT / f"bot/aisix/{pure}.py" for pure in PURE)]
CLOCKS = {"now", "utcnow", "today", "monotonic", "sleep"}


def test_the_core_reaches_nothing_outside_and_steps_only_wait():
    assert wrong(PURE_FILES, lambda path: (roots(path) - CORE) | (imports(path) & OUTSIDE)) == {}
    assert wrong(files("bot/steps"), lambda path: (roots(path) - CORE - TO_WAIT) | (imports(path) & OUTSIDE)) == {}


def test_the_core_has_no_clock_of_its_own_and_opens_no_file():
    others = [path for path in PURE_FILES if path.name != "waiting.py"]  # what a server's clock shows, beside ours

    assert wrong(others, lambda path: called(path) & (CLOCKS | {"open"})) == {}


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_imports_only_the_rooms_it_may(room):
    assert wrong(files(room), lambda path: rooms(path) - {floor(path), *MAY_KNOW[room]}) == {}


def test_nothing_imports_upwards():
    def above(path: Path) -> set[str]:
        below = FLOORS if path.stem == "__init__" else FLOORS[: FLOORS.index(floor(path)) + 1]
        return rooms(path) - {"__init__", floor(path), *below}

    assert wrong(files("bot"), above) == {}


OF_THE_PRODUCT = re.compile(r"^(aisix_(?!cloud_api|admin_token|gateways)\w+|/(api|v1|status)/.*|[45]\d\d [a-z_]+.*)$")
"""A label of a counter, a path, or an answer by its status."""


def test_only_the_aisix_room_holds_its_paths_labels_and_answers():
    others = [path for path in OURS if floor(path) != "aisix"]

    assert wrong(others, lambda path: filter(OF_THE_PRODUCT.match, words_of(path))) == {}
    assert [name(path) for path in files("bot/rotation", "bot/steps") if ".status ==" in path.read_text()] == []


def test_what_a_stop_says_stands_in_one_table():
    said = {text for cause in Cause for text in (cause.headline, cause.sentence)}

    assert wrong([path for path in OURS if path.name != "stops.py"], lambda path: said & words_of(path)) == {}


def test_no_file_is_longer_than_400_lines():
    assert [name(path) for path in OURS if len(path.read_text().splitlines()) > 400] == []


def test_no_code_names_a_step_by_a_plain_string():
    loose = {step.value for step in StepName if "-" in step}  # the others are words as well

    assert wrong(files("bot/steps", "handlers"), lambda path: loose & words_of(path)) == {}


def test_only_the_table_of_steps_imports_a_single_step():
    steps = {run.__module__ for run in RUN.values()}
    others = [path for path in OURS if name(path) != "bot/steps/__init__.py"]

    assert wrong(others, lambda path: steps & imports(path)) == {}


def test_each_step_has_a_file_of_its_name():
    steps = {name: (run.__module__, run.__name__) for name, run in RUN.items()}

    assert {step.name for track, _ in TRACKS.values() for step in track} == steps.keys() == {*StepName}
    assert steps == {name: (f"bot.steps.{file}", file) for name in steps for file in [name.replace("-", "_")]}


def test_a_view_imports_nothing_of_the_handlers_but_views():
    def others(path: Path) -> set[str]:
        return {one for one in imports(path) if one.startswith("handlers.") and not one.startswith("handlers.views")}

    assert wrong(files("handlers/views"), others) == {}


@pytest.mark.parametrize(
    ("what", "modules"),
    [
        (
            "httpx",
            {
                "aisix/client",
                "aisix/control_plane",
                "aisix/probes",
                "aisix/status",
                "check/gateways",
                "oidc/provider",
                "providers/account",
                "providers/aws_iam",
                "providers/client",
                "providers/__init__",
                "sources/aws",
                "sources/aws_sm",
                "sources/calls",
                "sources/vault",
            },
        ),
        ("saq", {"storage/jobs", "worker"}),
        ("http_client", {"aisix/client", "aisix/probes", "aisix/status", "oidc/provider"}),
        ("jwt", {"oidc/token"}),
        ("ClientPool", {"aisix/control_plane"}),
        ("AsyncClient", {"aisix/client"}),
        ("from_url", {"storage/connection", "storage/embedded"}),
        ("Web", {"handlers/connect"}),
        ("ControlPlane", {"app"}),
        ("Carrier", {"app"}),
    ],
)
def test_only_the_listed_modules_use_each_client_library(what, modules):
    found = {name(path) for path in OURS if what in roots(path) | called(path)}
    assert {path.removeprefix("bot/").removesuffix(".py") for path in found} == modules
