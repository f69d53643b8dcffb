"""The list of guards, as the guide for contributors has it."""

from collections.abc import Iterable

from tests.guards.guard import Guard
from tests.guards.table import PARTS
from tests.support.forked import ROOT

GUIDE = ROOT / "docs" / "guards.md"
BEGIN, END = "<!-- guards -->", "<!-- /guards -->"


def page() -> str:
    """Return all of the list, with the marks that the guide has around it."""
    parts = (f"### {title}\n\n{rows(guards)}" for title, guards in PARTS.items())
    return "\n\n".join([BEGIN, *parts, END])


def rows(guards: Iterable[Guard]) -> str:
    """Return a table of some guards."""
    lines = (f"| `{guard.name}` | {guard.prevents} | `{guard.file}` | {_test(guard)} |" for guard in guards)
    return "\n".join(["| guard | what happens without it | file | test that fails |", "|---|---|---|---|", *lines])


def _test(guard: Guard) -> str:
    file, _, name = guard.test.partition("::")
    return f"`{file}` `{name}`"


def replaced(text: str, page: str) -> str:
    """Return *text* with *page* in place of the list that it has."""
    before, _, rest = text.partition(BEGIN)
    return before + page + rest.partition(END)[2]
