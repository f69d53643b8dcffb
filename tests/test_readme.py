"""The README says what is true, on two screens: every button and command, and where the rest is."""

from pathlib import Path

from bot.rotation.actions import Action
from tests.support.documents import PAGES, links

README = Path("README.md").read_text()

MOST = 170
"""Lines: it is read in two minutes; everything else is a page of docs/."""


def test_the_readme_is_short_and_leads_to_every_page() -> None:
    assert len(README.splitlines()) <= MOST
    assert {page for page in PAGES if page.count("/") == 1} <= {*links("README.md")}


def test_every_button_and_every_command_is_in_the_readme() -> None:
    assert [action for action in Action if f"| **{action.value}** |" not in README] == []
    assert [word for word in ("status", "history", "help") if f"`/rotate-key {word}`" not in README] == []
