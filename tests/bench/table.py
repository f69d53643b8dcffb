"""A table in Markdown, as docs/benchmarks.md has it."""

from collections.abc import Iterable, Sequence


def table(title: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    rule = ["---", *("---:" for _ in heads[1:])]
    return "\n".join([f"**{title}**", "", *("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))])


def quantile(values: Iterable[float], part: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.01 else f"{seconds * 1000:.1f} ms"


def megabytes(size: float) -> str:
    return f"{size / 1e6:.0f} MB"
