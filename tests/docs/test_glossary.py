"""The glossary has each word once, and the code has the names that it gives."""

import re
from functools import cache

import pytest

from handlers.views.evidence import LEGEND
from tests.support.documents import ROOT, read, rows

GLOSSARY = "docs/glossary.md"
PARTS = ("Keys and models", "Where things run", "The rotation", "Evidence", "People, stops and trouble")
ENTRIES = [row for part in PARTS for row in rows(GLOSSARY, part)]


@cache
def names() -> set[str]:
    """Return every name in the code, and its folders."""
    files = [*(ROOT / "bot").rglob("*.py"), *(ROOT / "handlers").rglob("*.py")]
    words = {word for file in files for word in re.findall(r"\w+", file.read_text())}
    return words | {str(file.parent.relative_to(ROOT)) for file in files}


def test_each_word_stands_once() -> None:
    words = [word for entry in ENTRIES for word in entry[0].split(", ")]

    assert len(words) > 50
    assert sorted(words) == sorted(set(words))


@pytest.mark.parametrize("entry", ENTRIES, ids=[entry[0] for entry in ENTRIES])
def test_the_code_has_the_name_that_the_glossary_gives(entry: list[str]) -> None:
    _word, meaning, _seen, code = entry
    given = re.findall(r"`([^`]+)`", code)

    assert meaning
    assert given
    assert set(given) <= names()


def test_the_verdicts_are_those_of_the_cards_legend_in_its_order() -> None:
    table = re.split(r"The verdicts, the worst first:\n", read(GLOSSARY))[1].split("\n## ")[0]

    assert re.findall(r"^\| `(.+?)` \|", table, re.MULTILINE) == list(LEGEND)
