"""`make pictures`: every card, form and thread of the golden files as a picture, drawn by the page's own modules.

All of them go to var/pictures, to be looked at; those that the documents show, to docs/pictures.
"""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from playwright.async_api import async_playwright

from sandbox.page.server import Page
from tests.browser.people import BROWSER
from tests.support.documents import ROOT
from tests.support.pictures import GOLDEN, KEPT, PICTURES, note, sources

ALL = ROOT / "var/pictures"
WINDOW = {"viewport": {"width": 1000, "height": 1100}, "locale": "en-GB", "timezone_id": "UTC", "color_scheme": "light"}
NOW = "2026-11-23T14:30:00Z"


async def draw(every: Mapping[Path, Path]) -> None:
    """Draw each golden file to its picture; what is unknown to the page must not get into one unseen."""
    async with Page() as address, async_playwright() as playwright:
        browser = await playwright.chromium.launch(**BROWSER)
        tab = await (await browser.new_context(**WINDOW)).new_page()  # type: ignore[arg-type]
        await tab.goto(f"{address}draw")
        await tab.wait_for_function("() => Boolean(window.draw)")
        for picture, golden in every.items():
            shown = json.loads(golden.read_text())
            await tab.evaluate("([shown, options]) => draw(shown, options)", [shown, {"now": NOW}])
            assert await tab.locator(".unknown").count() == 0, golden.stem
            await tab.locator("#drawing").screenshot(path=picture, animations="disabled")
        await browser.close()


def main(names: list[str]) -> None:
    """Draw the golden files that *names* begin, or all of them; and what the documents show."""
    ALL.mkdir(parents=True, exist_ok=True)
    wanted = [golden for golden in sorted(GOLDEN.glob("*.json")) if golden.stem.startswith(tuple(names) or "")]
    kept = {KEPT / f"{name}.png": GOLDEN / f"{golden}.json" for name, golden in PICTURES.items()}
    asyncio.run(draw({**{ALL / f"{golden.stem}.png": golden for golden in wanted}, **kept}))
    note(sources())
    print(f"Drawn: {len(kept)} to {KEPT.relative_to(ROOT)}, the others to {ALL.relative_to(ROOT)}.")  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1:])
