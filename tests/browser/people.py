"""The page in a process of its own, what people do on it, and where they look."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.support.documents import ROOT

BROWSER: dict[str, Any] = {
    "executable_path": os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium",
    "args": ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"],
}
PATIENCE = 60_000
"""Milliseconds that anything may take: the machine may be slow, and everything waits for what it wants to see."""

expect.set_options(timeout=PATIENCE)


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the page of `make play`; lend its address, which is what it prints."""
    command = [sys.executable, "-u", "-m", "sandbox.page"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.strip().startswith("http://"))
        finally:
            process.terminate()
            process.communicate()


def begin(page: Page, address: str) -> None:
    """Open the workspace, and wait until it is there."""
    page.set_default_timeout(PATIENCE)
    page.goto(address)
    page.get_by_role("navigation", name="Channels").get_by_role("button").first.wait_for()


def send(page: Page, text: str) -> None:
    """Type into the message box and press Enter."""
    box = page.locator("#box")
    box.fill(text)
    box.press("Enter")


def card(page: Page) -> Locator:
    """The newest card in the channel."""
    return page.locator("#messages article").filter(has_text=re.compile("[⚪🔵🟡🔴🟢]")).last


def press(page: Page, button: str) -> None:
    """Press a button of the newest card, once it is there."""
    card(page).get_by_role("button", name=button, exact=True).click()


def confirm(page: Page, answer: str) -> None:
    """Answer the question that a button asks first."""
    page.get_by_role("dialog").get_by_role("button", name=answer, exact=True).click()


def form(page: Page) -> Locator:
    """The open form."""
    return page.locator("dialog.modal[open]")


def give(page: Page, secret: str) -> None:
    """Fill in the secret and send the form."""
    form(page).get_by_label("New secret", exact=True).fill(secret)
    form(page).get_by_role("button", name="Create new key").click()


def be(page: Page, person: str) -> None:
    """Be somebody else."""
    page.get_by_label("You are").select_option(person)
    expect(page.get_by_label("You are")).to_have_value(person)


def whispered(page: Page, words: str) -> None:
    """See *words* where only this person sees them."""
    expect(page.locator("#messages .only-you").filter(has_text=words).last).to_be_visible()
    expect(page.locator("#messages .only-you").filter(has_text=words).last).to_contain_text("Only visible to you")


def says(page: Page, words: str) -> None:
    expect(card(page)).to_contain_text(words)


def throw(page: Page, switch: str, value: str) -> None:
    """Throw a switch of the sandbox."""
    page.get_by_role("combobox", name=switch).select_option(value)


def keys_of(page: Page, environment: str, model: str) -> list[str]:
    """The letters of the keys that a model is on: at the control plane, then at each replica."""
    row = page.get_by_role("group", name=f"Models in {environment}").get_by_role("row").filter(has_text=model).first
    return row.locator(".key").all_inner_texts()
