"""A table in Markdown, as docs/benchmarks.md has it."""

from collections.abc import Iterable, Sequence

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; the first column says what is measured, the others are figures."""
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))])


def page(tables: Iterable[str]) -> str:
    """Return all tables between the marks that the page has around them."""
    return "\n\n".join([BEGIN, *tables, END])


def between_marks(text: str) -> str:
    """Return what *text* has between the marks."""
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0]


def replaced(text: str, page: str) -> str:
    """Return *text* with *page* in place of what is between its marks."""
    before, _, rest = text.partition(BEGIN)
    return before + page + rest.partition(END)[2]


def quantile(values: Iterable[float], part: float) -> float:
    """Return the value that *part* of all values do not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def milliseconds(seconds: float) -> str:
    """Say a short time."""
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def megabytes(size: float) -> str:
    """Say a size."""
    return f"{size / 1e6:.0f} MB"
