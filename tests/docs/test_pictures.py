"""The pictures of the documents show what the bot sends now, and are small."""

import re
import struct

import pytest

from tests.support.documents import DOCUMENTS, links, read
from tests.support.pictures import (
    AGAIN,
    DRAWING,
    GOLDEN,
    KEPT,
    MODULES,
    MOVING,
    PICTURES,
    drawn,
    moving_sources,
    pictures,
    sources,
)

MOST = 150_000
"""Bytes of a picture."""

MOST_OF_A_FILM = 1_500_000
"""Bytes of the moving picture: everybody who opens the README loads it."""


@pytest.mark.parametrize("name", [*PICTURES, MOVING.stem])
def test_a_picture_was_drawn_from_its_golden_files_as_they_are_now(name: str) -> None:
    assert drawn()[name] == (sources() | moving_sources())[name], AGAIN


def test_the_pictures_that_are_kept_are_those_that_are_wanted() -> None:
    assert pictures(KEPT) == sorted([*PICTURES, MOVING.stem])
    assert sorted(drawn()) == sorted([*PICTURES, MOVING.stem, "page"])


def test_the_moving_picture_moves_and_is_small() -> None:
    content = MOVING.read_bytes()
    frames = struct.unpack(">I", content.split(b"acTL")[1][:4])[0]

    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert frames == content.count(b"fcTL") >= 8
    assert len(content) < MOST_OF_A_FILM


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_a_small_png(name: str) -> None:
    content = (KEPT / f"{name}.png").read_bytes()
    width, height = struct.unpack(">II", content[16:24])

    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    assert len(content) < MOST
    assert 300 < width < 2000
    assert 100 < height < 2000


@pytest.mark.parametrize("name", [*PICTURES, MOVING.stem])
def test_a_picture_is_shown_in_a_document_and_described(name: str) -> None:
    shown = [
        document for document in DOCUMENTS if any(link.endswith(f"pictures/{name}.png") for link in links(document))
    ]
    described = [re.search(rf"!\[([^\]]+)\]\([^)]*pictures/{name}\.png\)", read(document)) for document in shown]

    assert shown
    assert all(words and len(words[1]) > 20 for words in described)


def test_whatever_draws_a_golden_file_counts_for_the_digest() -> None:
    """A module that is imported or linked, and not in the digest, could change the pictures unseen."""
    needed, found = {"draw.html"}, set()
    while needed - found:
        name = (needed - found).pop()
        found.add(name)
        text = (DRAWING / name).read_text()
        needed |= set(re.findall(r'from "\./([\w.]+)"', text)) | set(
            re.findall(r'(?:src|href)="static/([\w.]+)"', text)
        )

    assert found - {"theme.js", "icon.svg", "combo.js"} == set(MODULES)
    assert not [name for name in PICTURES.values() if "_select" in (GOLDEN / f"{name}.json").read_text()]
