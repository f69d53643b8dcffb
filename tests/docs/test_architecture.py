"""The map of the code has every room, and its walks lead along functions that are there."""

import ast
import re

import pytest

from tests.support.documents import ROOT, read

PAGE = read("docs/architecture.md")
WALKED = re.findall(r"`((?:bot|handlers)/[\w/]+\.py)` → ((?:`[\w.]+`(?:, )?)+)", PAGE)
PLACES = sorted({(path, name) for path, names in WALKED for name in re.findall(r"`([\w.]+)`", names)})


def defined(path: str) -> set[str]:
    """Return the functions and classes of a file; a method with its class before it."""
    found = set()
    for node in ast.parse((ROOT / path).read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            methods = (part for part in node.body if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef))
            found |= {f"{node.name}.{method.name}" for method in methods}
    return found


@pytest.mark.parametrize(("path", "name"), PLACES)
def test_a_walk_leads_to_a_function_that_is_there(path: str, name: str) -> None:
    assert name in defined(path)


def test_the_walks_are_found() -> None:
    assert len(PLACES) > 30


def test_every_room_is_on_the_map() -> None:
    rooms = {file.parent for top in ("bot", "handlers") for file in (ROOT / top).rglob("*.py")}

    assert {str(room.relative_to(ROOT)) + "/" for room in rooms} <= set(
        re.findall(r"^\| `([\w/]+)`", PAGE, re.MULTILINE)
    )
