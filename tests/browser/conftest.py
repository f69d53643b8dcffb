"""The page in a real browser, as a person meets it: `make play` in a process of its own, and Chromium."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

PROJECT = Path(__file__).parents[2]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE = 60_000
"""Milliseconds that anything may take: the machine may be slow, and everything waits for what it wants to see."""

expect.set_options(timeout=PATIENCE)

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A sandbox of this module's own; what it prints is its address."""
    command = [sys.executable, "-m", "sandbox.page"]
    with subprocess.Popen(
        command, cwd=PROJECT, env={**os.environ, "PYTHONUNBUFFERED": "1"}, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        try:
            printed = ""
            for line in process.stdout:
                printed += line
                if line.strip().startswith("http://"):
                    yield line.strip()
                    break
            else:
                pytest.fail(printed)
        finally:
            process.terminate()
            process.communicate()


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
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
        page.set_default_timeout(PATIENCE)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("console", lambda said: troubles.append(said.text) if said.type == "error" else None)
        page.goto(f"{address}{path or f'?as={person}'}")
        if not path:
            page.get_by_role("navigation", name="Channels").get_by_role("button").first.wait_for()
        return page

    yield open_
    for context in contexts:
        context.close()
    assert troubles == []
