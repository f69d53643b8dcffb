"""A table in Markdown, as docs/benchmarks.md has it."""

from collections.abc import Iterable, Sequence

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))])


def page(tables: Iterable[str]) -> str:
    return "\n\n".join([BEGIN, *tables, END])


def between_marks(text: str) -> str:
    return text.split(BEGIN)[1].split(END, maxsplit=1)[0]


def replaced(text: str, page: str) -> str:
    before, _, rest = text.partition(BEGIN)
    return before + page + rest.partition(END)[2]


def quantile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"
