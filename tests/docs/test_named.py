"""What the map, the glossary and the facts name is in the code, and what the code cites is in the facts."""

import ast
import re
from collections.abc import Iterator
from functools import cache

import pytest

from tests.support.documents import ROOT, read, rows

MODULES = [file for top in ("bot", "handlers") for file in (ROOT / top).rglob("*.py")]

# --- the map ---

MAP = read("docs/architecture.md")
WALKED = re.findall(r"`((?:bot|handlers)/[\w/]+\.py)` → ((?:`[\w.]+`(?:, )?)+)", MAP)
PLACES = sorted({(path, name) for path, names in WALKED for name in re.findall(r"`([\w.]+)`", names)})
DEFINES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@cache
def defined(path: str) -> set[str]:
    """Return the functions and classes of a file; a method with its class before it."""
    top = [node for node in ast.parse(read(path)).body if isinstance(node, DEFINES)]
    inner = {f"{node.name}.{part.name}" for node in top for part in node.body if isinstance(part, DEFINES)}
    return {node.name for node in top} | inner


def test_every_walk_leads_to_functions_that_are_there() -> None:
    assert len(PLACES) > 30
    assert [(path, name) for path, name in PLACES if name not in defined(path)] == []


def test_every_room_is_on_the_map() -> None:
    rooms = {str(file.parent.relative_to(ROOT)) + "/" for file in MODULES}

    assert rooms <= set(re.findall(r"^\| `([\w/]+)`", MAP, re.MULTILINE))


# --- the glossary ---

GLOSSARY = "docs/glossary.md"
PARTS = ("Keys and models", "Where things run", "The rotation", "Evidence", "People, stops and trouble")
ENTRIES = [row for part in PARTS for row in rows(GLOSSARY, part)]


def test_the_glossary_lists_each_word_once() -> None:
    words = [word for entry in ENTRIES for word in entry[0].split(", ")]

    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


def test_the_code_has_the_names_that_the_glossary_gives() -> None:
    names = {word for file in MODULES for word in re.findall(r"\w+", file.read_text())}
    names |= {str(file.parent.relative_to(ROOT)) for file in MODULES}
    given = {word: set(re.findall(r"`([^`]+)`", code)) for word, meaning, _seen, code in ENTRIES if meaning}

    assert all(given.values())
    assert {word: missing for word, code in given.items() if (missing := code - names)} == {}


# --- the facts ---

FACTS = sorted(page.name for page in (ROOT / "docs/facts").glob("*.md") if page.name != "README.md")
CITED = re.compile(r"facts/(\w+\.md),? (G\d+|\d+(?:\.\d+)?)")
HEADED = re.compile(r"^#+ (\d+(?:\.\d+)?)\.? |^\| (G\d+) \|", re.MULTILINE)
SURE = ("confirmed", "seen", "inferred", "unknown")


def test_a_citation_in_the_code_leads_to_a_heading_or_a_trap_that_is_there() -> None:
    files = [file for top in ("bot", "handlers", "sandbox", "tests") for file in (ROOT / top).rglob("*.py")]
    cited = {found for file in files for found in CITED.findall(re.sub(r"\s+", " ", file.read_text()))}
    there = {(page, number or trap) for page in FACTS for number, trap in HEADED.findall(read(f"docs/facts/{page}"))}

    assert {("aisix.md", "5"), ("aisix.md", "6.3"), ("aisix.md", "9"), ("aisix.md", "G6")} <= cited
    assert {page for page, _ in cited} == {"aisix.md", "slack.md"}
    assert cited - there == set()


def tables(name: str) -> Iterator[tuple[list[str], list[str]]]:
    """Yield each row of each table of a page, with its head."""
    for table in re.findall(r"(?:^\|.*\|\n)+", read(name), re.MULTILINE):
        head, _rule, *lines = (
            [cell.strip() for cell in line.strip().strip("|").split(" | ")] for line in table.splitlines()
        )
        yield from ((head, line) for line in lines)


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_says_how_sure_it_is(name: str) -> None:
    facts = [(head, row) for head, row in tables(f"docs/facts/{name}") if head != ["short", "what it is"]]

    assert len(facts) > 40
    assert [row for head, row in facts if head[-1] != "how sure" or len(row) != len(head)] == []
    assert [row for _, row in facts if not row[-1].startswith(SURE)] == []
