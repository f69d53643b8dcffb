"""The guide to what was tried with real gateways has every story of `tests/gateway`, and no other."""

import ast

from tests.support.documents import ROOT, rows

GUIDE = "docs/gateways.md"


def told() -> set[str]:
    """Return the claims of the stories, as sentences."""
    trees = (ast.parse(file.read_text()) for file in (ROOT / "tests/gateway").glob("test_*.py"))
    names = {node.name for tree in trees for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)}
    return {name.removeprefix("test_").replace("_", " ") for name in names if name.startswith("test_")}


def test_every_story_with_real_gateways_is_in_the_guide_with_what_came_out_and_no_other() -> None:
    table = {story: came_out for story, _runs, came_out in rows(GUIDE, "What came out")}

    assert set(table) == told()
    assert all(table.values())
