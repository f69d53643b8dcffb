"""The list of guards, as the guide for contributors has it."""

from tests.guards.table import PARTS
from tests.support.documents import ROOT

GUIDE = ROOT / "docs" / "guards.md"
BEGIN, END = "<!-- guards -->", "<!-- /guards -->"
HEAD = "| what happens without the guard | its file | test that fails |\n|---|---|---|"


def page() -> str:
    """Return all of the list, with the marks that the guide has around it."""
    lines = [BEGIN]
    for title, guards in PARTS.items():
        rows = [f"| {one.prevents} | `{one.file}` | {_test(one.test)} |" for one in guards]
        lines.append("\n".join([f"### {title}\n", HEAD, *rows]))
    return "\n\n".join([*lines, END])


def _test(test: str) -> str:
    file, _, name = test.partition("::")
    return f"`{file}` `{name}`"


def replaced(text: str, page: str) -> str:
    """Return *text* with *page* in place of the list that it has."""
    before, _, rest = text.partition(BEGIN)
    return before + page + rest.partition(END)[2]
