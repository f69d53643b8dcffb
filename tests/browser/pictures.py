"""`make pictures`: every card, form and thread of the golden files as a picture, drawn by the page's own modules.

All of them go to var/pictures, to be looked at: wide and on a phone, light and dark. Those that the documents show go
to docs/pictures.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from playwright.async_api import async_playwright

from sandbox.page.server import Page
from tests.browser.people import BROWSER
from tests.support.documents import ROOT
from tests.support.pictures import GOLDEN, KEPT, PAGES, PICTURES, note, sources

ALL = ROOT / "var/pictures"
READER: dict[str, Any] = {"locale": "en-GB", "timezone_id": "UTC"}
LOOKS: dict[str, dict[str, Any]] = {
    f"{name}-{theme}": {"viewport": {"width": width, "height": 844}, "color_scheme": theme}
    for name, width in {"wide": 1400, "phone": 390}.items()
    for theme in ("light", "dark")
}
DOCUMENTS: dict[str, Any] = {"viewport": {"width": 1000, "height": 1100}, "color_scheme": "light"}
NOW = "2026-11-23T14:30:00Z"


async def draw(every: Mapping[Path, Path], look: Mapping[str, Any]) -> None:
    """Draw each golden file to its picture; what is unknown to the page must not get into one unseen."""
    async with Page() as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(**BROWSER)
        tab = await (await browser.new_context(**READER, **look)).new_page()
        await tab.goto(f"{address}draw")
        await tab.wait_for_function("() => Boolean(window.draw)")
        for picture, golden in every.items():
            shown = json.loads(golden.read_text())
            await tab.evaluate("([shown, options]) => draw(shown, options)", [shown, {"now": NOW}])
            assert await tab.locator(".unknown").count() == 0, golden.stem
            await tab.locator("#drawing").screenshot(path=picture, animations="disabled")
        await browser.close()


async def draw_pages(pages: Mapping[Path, str], look: Mapping[str, Any]) -> None:
    """Draw pages of the bot to their pictures, as a browser shows them."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(**BROWSER)
        tab = await (await browser.new_context(**READER, **look)).new_page()
        for picture, html in pages.items():
            await tab.set_content(html)
            await tab.locator("main").screenshot(path=picture, animations="disabled")
        await browser.close()


def main(names: list[str]) -> None:
    """Draw the golden files that *names* begin, or all of them; and what the documents show."""
    wanted = [golden for golden in sorted(GOLDEN.glob("*.json")) if golden.stem.startswith(tuple(names) or "")]
    for name, look in LOOKS.items():
        (ALL / name).mkdir(parents=True, exist_ok=True)
        asyncio.run(draw({ALL / name / f"{golden.stem}.png": golden for golden in wanted}, look))
        asyncio.run(draw_pages({ALL / name / f"{page}.png": html() for page, html in PAGES.items()}, look))
    kept = {KEPT / f"{name}.png": GOLDEN / f"{golden}.json" for name, golden in PICTURES.items()}
    asyncio.run(draw(kept, DOCUMENTS))
    asyncio.run(draw_pages({KEPT / f"{name}.png": html() for name, html in PAGES.items()}, DOCUMENTS))
    note(sources())
    print(f"Drawn: {len(kept) + len(PAGES)} to {KEPT.relative_to(ROOT)}, the others to {ALL.relative_to(ROOT)}.")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
