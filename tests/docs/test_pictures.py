"""The pictures of the documents show what the bot sends now, and are small."""

import re
import struct

import pytest

from tests.support import pictures as p
from tests.support.documents import DOCUMENTS, links, read

PNG = b"\x89PNG\r\n\x1a\n"
MOST, MOST_OF_A_FILM = 150_000, 1_500_000
"""Bytes of a picture, and of the moving one: everybody who opens the README loads it."""

NAMES = sorted([*p.PICTURES, *p.PAGES, p.MOVING.stem])


def test_every_picture_was_drawn_from_its_golden_files_as_they_are_now_and_no_other_is_kept() -> None:
    assert p.drawn() == {**p.sources(), **p.moving_sources(), "page": p.drawn()["page"]}, p.AGAIN
    assert p.pictures(p.KEPT) == NAMES


def test_the_moving_picture_moves_and_is_small() -> None:
    content = p.MOVING.read_bytes()
    frames = struct.unpack(">I", content.split(b"acTL")[1][:4])[0]

    assert content.startswith(PNG)
    assert frames == content.count(b"fcTL") >= 8
    assert len(content) < MOST_OF_A_FILM


@pytest.mark.parametrize("name", [*p.PICTURES, *p.PAGES])
def test_a_picture_is_a_small_png(name: str) -> None:
    content = (p.KEPT / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])

    assert content.startswith(PNG)
    assert len(content) < MOST
    assert 300 < width < 2000
    assert 100 < height < 2000


@pytest.mark.parametrize("name", NAMES)
def test_a_picture_is_shown_in_a_document_and_described(name: str) -> None:
    shown = [document for document in DOCUMENTS if any(link.endswith(f"/{name}.png") for link in links(document))]
    described = [re.search(rf"!\[([^\]]+)\]\([^)]*pictures/{name}\.png\)", read(document)) for document in shown]

    assert shown
    assert all(words and len(words[1]) > 20 for words in described)


def test_whatever_draws_a_golden_file_counts_for_the_digest() -> None:
    """A module that is imported or linked, and not in the digest, could change the pictures unseen."""
    needed, found = {"draw.html"}, set()
    while needed - found:
        name = (needed - found).pop()
        found.add(name)
        needed |= set(re.findall(r'(?:from "\./|(?:src|href)="static/)([\w.]+)"', (p.DRAWING / name).read_text()))

    assert found - {"theme.js", "icon.svg", "combo.js"} == set(p.MODULES)
    assert not [name for name in p.PICTURES.values() if "_select" in (p.GOLDEN / f"{name}.json").read_text()]
