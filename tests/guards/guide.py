"""The list of guards, as the guide for contributors has it."""

from tests.guards.table import TABLE
from tests.support.documents import filled

GUIDE = "docs/guards.md"
HEAD = "| what happens without the guard | its file | test that fails |\n|---|---|---|"


def page() -> str:
    """Return the guide with the list as it should be."""
    parts = []
    for title, guards in TABLE.items():
        rows = [
            f"| {prevents} | `{one.file}` | `{one.test.replace('::', '` `')}` |" for prevents, one in guards.items()
        ]
        parts.append("\n".join([f"### {title}\n", HEAD, *rows]))
    return filled(GUIDE, "guards", "\n\n".join(parts))
