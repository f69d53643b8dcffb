"""A citation in the code leads to a heading of docs/facts, and every fact says how sure it is."""

import re
from collections.abc import Iterator

import pytest

from tests.support.documents import ROOT, read

FACTS = sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs/facts").glob("*.md"))
CITED = re.compile(r"facts/(\w+\.md),? (G\d+|\d+(?:\.\d+)?)")
SURE = ("confirmed", "seen", "inferred", "unknown")


def citations() -> Iterator[tuple[str, str, str]]:
    """Yield where the code cites a fact, the page and the place."""
    for folder in ("bot", "handlers", "sandbox", "tests"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for page, place in CITED.findall(re.sub(r"\s+", " ", file.read_text())):
                yield str(file.relative_to(ROOT)), page, place


def places(page: str) -> set[str]:
    """Return the numbers of a page's headings, and the names of its traps."""
    text = read(f"docs/facts/{page}")
    return {
        *re.findall(r"^#+ (\d+(?:\.\d+)?)\.? ", text, re.MULTILINE),
        *re.findall(r"^\| (G\d+) \|", text, re.MULTILINE),
    }


@pytest.mark.parametrize(("file", "page", "place"), sorted(set(citations())))
def test_a_citation_leads_to_a_heading_that_is_there(file: str, page: str, place: str) -> None:
    assert place in places(page), f"{file} cites {place}"


def test_the_code_cites_facts() -> None:
    assert {page for _, page, _ in citations()} == {"aisix.md", "slack.md"}
    assert {"5", "6.3", "9", "G6"} <= {place for _, _, place in citations()}


def tables(name: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each row of each table of a page, with its head."""
    for table in re.findall(r"(?:^\|.*\|\n)+", read(name), re.MULTILINE):
        head, _rule, *lines = (
            [cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines()
        )
        yield from ((head, line) for line in lines)


@pytest.mark.parametrize("name", [name for name in FACTS if not name.endswith("README.md")])
def test_every_fact_says_how_sure_it_is(name: str) -> None:
    facts = [(head, row) for head, row in tables(name) if head != ["short", "what it is"]]

    assert len(facts) > 40
    assert [row for head, row in facts if head[-1] != "how sure" or len(row) != len(head)] == []
    assert [row for _, row in facts if not row[-1].startswith(SURE)] == []
