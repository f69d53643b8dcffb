"""The documents as their readers meet them: blocks of code, commands, links."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md"))
DOCUMENTS = (*sorted(page.name for page in ROOT.glob("*.md")), *PAGES)
"""All of them: a page that is added is held as the others are."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


class Block(NamedTuple):
    language: str
    text: str


def read(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str) -> list[Block]:
    return [Block(*found) for found in FENCE.findall(read(name))]


def filled(name: str, mark: str, content: str) -> str:
    """Return a document with *content* between its marks."""
    begin, end = f"<!-- {mark} -->", f"<!-- /{mark} -->"
    before, _, rest = read(name).partition(begin)
    return f"{before}{begin}\n\n{content}\n\n{end}{rest.partition(end)[2]}"


def prose(name: str) -> str:
    return FENCE.sub("", read(name))


def commands(name: str) -> Iterator[str]:
    for block in blocks(name):
        if block.language == "sh":
            lines = (re.sub(r"(^|\s+)#.*", "", line) for line in block.text.replace("\\\n", "").splitlines())
            yield from filter(None, map(str.strip, lines))


def links(name: str) -> list[str]:
    return LINK.findall(prose(name))


def anchors(name: str) -> set[str]:
    return {anchor(heading) for heading in HEADING.findall(prose(name))}


def anchor(heading: str) -> str:
    plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
    return re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")


def rows(name: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table under *heading*, without its head."""
    section = re.split(rf"^#+ {re.escape(heading)}$", read(name), flags=re.MULTILINE)[1]
    table = re.search(r"(?:^\|.*\|\n)+", section, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table[0].splitlines()[2:]]
