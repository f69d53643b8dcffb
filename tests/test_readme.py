"""The README says what is true, on two screens: every button and command, the licence, and where the rest is."""

import re
import tomllib
from pathlib import Path

import pytest

from bot.rotation.actions import Action
from handlers.commands import WORDS
from tests.support.documents import PAGES, links

README = Path("README.md").read_text()
PYPROJECT = tomllib.loads(Path("pyproject.toml").read_text())
PROJECT, BROWSER = PYPROJECT["project"], PYPROJECT["dependency-groups"]["browser"]

MOST = 170
"""Lines: it is read in two minutes; everything else is a page of docs/."""


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= MOST


@pytest.mark.parametrize("page", [page for page in PAGES if page.count("/") == 1])
def test_the_readme_leads_to_every_page(page: str) -> None:
    assert page in links("README.md")


@pytest.mark.parametrize("action", Action)
def test_every_button_is_in_the_readme(action: Action) -> None:
    assert f"| **{action.value}** |" in README


@pytest.mark.parametrize("word", ["status", "history", "help"])
def test_every_command_is_in_the_readme(word: str) -> None:
    assert f"`/rotate-key {word}`" in README
    assert word in WORDS


@pytest.mark.parametrize("name", ["requirements.lock", "requirements-browser.lock"])
def test_the_lock_holds_hashes_and_no_address(name: str) -> None:
    lock = Path(name).read_text()

    assert "://" not in lock
    assert lock.count("--hash=sha256:") > lock.count("==")


def test_what_only_the_browser_needs_is_not_installed_for_the_demo() -> None:
    lock, own = Path("requirements.lock").read_text(), Path("requirements-browser.lock").read_text()
    names = [re.split(r"[<>=]", line)[0] for line in BROWSER]

    assert names
    assert not [name for name in names if f"{name}==" in lock]
    assert not [name for name in names if f"{name}==" not in own]
