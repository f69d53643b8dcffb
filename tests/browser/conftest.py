"""The page in a real browser, as a person meets it: `make play` in a process of its own, and Chromium."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.people import BROWSER, PATIENCE, begin, sandbox

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A sandbox of this module's own."""
    with sandbox() as address:
        yield address


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(**BROWSER)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(address: str, browser: Browser) -> Iterator[Open]:
    """Open windows of people; whatever a script stumbles over fails the test."""
    troubles: list[str] = []
    contexts = []
    usual = {"viewport": {"width": 1440, "height": 900}, "locale": "en-GB"}

    def open_(person: str = "U_REQUESTER", path: str = "", **context: object) -> Page:
        contexts.append(browser.new_context(**{**usual, **context}))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        if path:
            page.set_default_timeout(PATIENCE)
            page.goto(f"{address}{path}")
        else:
            begin(page, f"{address}?as={person}")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []
