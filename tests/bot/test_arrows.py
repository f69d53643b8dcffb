"""Who may know whom."""

import ast
import re
from pathlib import Path

import pytest

from bot.rotation.states import TRACKS, StepName
from bot.rotation.stops import Cause
from bot.steps import RUN

ROOT = Path(__file__).parents[2]
MAY_KNOW = {
    "rotation": set[str](),
    "aisix": {"rotation", "metrics"},
    "storage": {"rotation", "metrics", "settings"},
    "steps": {"rotation"},
    "service": {"rotation", "steps", "storage"},
    "recovery": {"rotation", "steps", "storage", "engine", "service"},
}
"""Rooms, and what each may import beside itself."""

FLOORS = (
    "__version__", "rotation", "metrics", "logs", "aisix", "settings", "http", "storage", "steps", "engine", "service",
    "recovery", "worker", "app", "check", "cli", "__main__",
)  # fmt: skip
"""The rooms and files of the bot; each imports only what stands before it."""

PURE = ("answers", "counters", "pages", "reading", "sameness", "untrusted_json", "waiting")
"""What reads pages and answers of AISIX without asking for them."""

CALLERS = ("bot/aisix/control_plane.py", "bot/aisix/probes.py", "bot/aisix/status.py", "bot/check.py")
FOR_SLACK = ("bot/app.py", "bot/cli.py")
"""What puts the bot and its handlers together."""

IO = {"httpx", "redis", "aiohttp", "slack_bolt", "slack_sdk", "asyncio", "saq", "socket", "structlog", "requests"}


def files(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """Every module that a file imports, wherever it does so."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "an import says the whole way"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


def roots(path: Path) -> set[str]:
    return {module.split(".")[0] for module in imports(path)}


@pytest.mark.parametrize("path", [p for p in files("bot") if name(p) not in FOR_SLACK], ids=name)
def test_bot_knows_nothing_of_slack_or_its_handlers(path):
    assert not {root for root in roots(path) if root == "handlers" or root.startswith("slack")}


@pytest.mark.parametrize("path", files("bot", "handlers"), ids=name)
def test_the_bot_never_knows_the_sandbox_or_the_tests(path):
    assert not roots(path) & {"sandbox", "tests"}


@pytest.mark.parametrize("path", files("sandbox"), ids=name)
def test_the_sandbox_knows_nothing_of_the_bot(path):
    assert not roots(path) & {"bot", "handlers", "tests"}


@pytest.mark.parametrize("path", [*files("bot/rotation"), *(ROOT / f"bot/aisix/{m}.py" for m in PURE)], ids=name)
def test_the_core_does_no_io(path):
    assert not roots(path) & IO


@pytest.mark.parametrize("room", MAY_KNOW)
def test_a_room_knows_only_what_is_below_it(room):
    ours = {m.split(".")[1] for path in files(f"bot/{room}") for m in imports(path) if m.startswith("bot.")}

    assert ours <= {room, *MAY_KNOW[room]}


def floor(path: Path) -> str:
    return path.parts[len(ROOT.parts) + 1].removesuffix(".py")


@pytest.mark.parametrize("path", files("bot"), ids=name)
def test_nothing_imports_upwards(path):
    ours = {module.split(".")[1] for module in imports(path) if module.startswith("bot.")}
    below = (
        {"__init__", *FLOORS[: FLOORS.index(floor(path)) + 1]} if path.stem != "__init__" else {floor(path), *FLOORS}
    )

    assert ours <= below


FOR_HANDLERS = {"rotation", "service", "settings", "metrics", "logs", "__version__"}
"""What handlers may know of the bot: what a rotation is, and what people can ask for."""


@pytest.mark.parametrize("path", files("handlers"), ids=name)
def test_handlers_know_no_store_no_step_and_no_product(path):
    ours = {module.split(".")[1] for module in imports(path) if module.startswith("bot.")}

    assert ours <= FOR_HANDLERS


def words_of(path: Path) -> list[str]:
    """Return every string in a file that is no docstring."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return [node.value for node in strings if id(node) not in said]


OF_THE_PRODUCT = re.compile(r"^(aisix_(?!cloud_api|admin_token|gateways)\w+|/(api|v1|status)/.*|[45]\d\d [a-z_]+.*)$")
"""A label of a counter, a path, or an answer by its status."""

MAY_SAY_SO = {"bot/check.py": {"/status/config"}}


@pytest.mark.parametrize("path", [p for p in files("bot", "handlers") if floor(p) != "aisix"], ids=name)
def test_only_the_room_of_the_product_knows_its_paths_labels_and_answers(path):
    assert {word for word in words_of(path) if OF_THE_PRODUCT.match(word)} <= MAY_SAY_SO.get(name(path), set())


@pytest.mark.parametrize("path", files("bot/rotation", "bot/steps"), ids=name)
def test_neither_core_nor_steps_know_a_status_code(path):
    assert not [module for module in imports(path) if module.startswith("http")]
    assert ".status ==" not in path.read_text()


@pytest.mark.parametrize("path", [p for p in files("bot", "handlers") if p.name != "stops.py"], ids=name)
def test_what_a_stop_says_stands_in_one_table(path):
    said = words_of(path)

    assert not [cause for cause in Cause if cause.headline in said or cause.sentence in said]


@pytest.mark.parametrize("path", files("bot", "handlers"), ids=name)
def test_no_file_is_longer_than_400_lines(path):
    assert len(path.read_text().splitlines()) <= 400


@pytest.mark.parametrize("path", files("bot/steps", "handlers"), ids=name)
def test_no_step_is_named_by_a_loose_string(path):
    assert not LOOSE & {*words_of(path)}


LOOSE = {step.value for step in StepName if "-" in step}
"""Names of steps that are no other word."""


STEPS = sorted(run.__module__ for run in RUN.values())


@pytest.mark.parametrize("module", STEPS)
def test_no_step_and_no_helper_imports_a_step(module):
    assert not [name(path) for path in files("bot/steps") if path.stem != "__init__" and module in imports(path)]


@pytest.mark.parametrize("path", [p for p in files("bot", "handlers") if "steps" not in p.parts], ids=name)
def test_nobody_else_imports_a_single_step(path):
    assert not {*STEPS} & imports(path)


def test_each_step_has_a_file_of_its_name():
    steps = {name: (run.__module__, run.__name__) for name, run in RUN.items()}

    assert {step.name for track, _ in TRACKS.values() for step in track} == steps.keys() == {*StepName}
    assert steps == {name: (f"bot.steps.{file}", file) for name in steps for file in [name.replace("-", "_")]}


@pytest.mark.parametrize("path", files("handlers/views"), ids=name)
def test_a_view_turns_values_into_blocks_and_knows_nobody_who_acts(path):
    rooms = {module.split(".")[1] for module in imports(path) if module.startswith("bot.")}
    beside = {module for module in imports(path) if module.startswith("handlers.")}

    assert rooms <= {"rotation"}
    assert not {module for module in beside if not module.startswith("handlers.views")}


@pytest.mark.parametrize(
    ("library", "modules"),
    [
        ("httpx", {*CALLERS, "bot/aisix/client.py"}),
        ("saq", {"bot/storage/jobs.py", "bot/worker.py"}),
    ],
)  # fmt: skip
def test_each_outside_world_is_met_in_few_places(library, modules):
    assert {name(path) for path in files("bot", "handlers") if library in roots(path)} <= modules


@pytest.mark.parametrize(
    ("client", "modules"),
    [
        ("http_client", {"bot/aisix/client.py", "bot/aisix/probes.py", "bot/aisix/status.py"}),
        ("ClientPool", {"bot/aisix/control_plane.py"}),
        ("AsyncClient", {"bot/aisix/client.py"}),
        ("from_url", {"bot/storage/connection.py", "bot/storage/embedded.py"}),
        ("AsyncWebClient", {"handlers/connect.py"}),
        ("ControlPlane", {"bot/app.py"}),
        ("Carrier", {"bot/app.py"}),
    ],
)
def test_a_client_is_made_in_one_place_so_that_the_check_tries_those_of_the_bot(client, modules):
    assert {name(path) for path in files("bot", "handlers") if client in called(path)} == modules


def called(path: Path) -> set[str]:
    """Return the names of all that a file calls."""
    calls = [node.func for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    return {ast.unparse(what).rpartition(".")[2] for what in calls}


def test_there_are_files_to_look_at():
    assert len(files("bot")) > 20
    assert len(files("handlers")) > 5
    assert len(files("sandbox")) > 20
