"""`make pictures`: a rotation as a moving picture, played on the page of `make play` and kept for the README.

A wrong secret, the right one, the approval and the delete, with callers at work. What a frame shares with the one
before is left out of it.
"""

import base64
import re
import struct
import zlib
from dataclasses import dataclass, field

from playwright.sync_api import Page, expect, sync_playwright

from sandbox.company import GOOD_SECRET, KEY, WRONG_SECRET
from tests.browser.people import BROWSER, be, begin, card, confirm, form, press, sandbox, says, send
from tests.support.documents import ROOT
from tests.support.pictures import MOVING, moving_sources, note

WIDTH, PAGE, BAR = 1200, 740, 48
HEIGHT = PAGE + BAR

PIXELS = """async ([png, words, bar]) => {
  const image = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const canvas = new OffscreenCanvas(image.width, image.height + bar);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  context.fillStyle = "#1d1c1d";
  context.fillRect(0, image.height, image.width, bar);
  context.fillStyle = "#fff";
  context.font = "600 20px sans-serif";
  context.textBaseline = "middle";
  context.fillText(words, 20, image.height + bar / 2);
  const shown = context.getImageData(0, 0, canvas.width, canvas.height);
  const pixels = new Uint32Array(shown.data.buffer);
  const now = pixels.map((colour) => (colour & 0xf0f0f0f0) | ((colour >>> 4) & 0x0f0f0f0f));
  pixels.set(now);
  if (window.before) window.before.forEach((colour, at) => { if (colour === now[at]) pixels[at] = 0; });
  window.before = now;
  const bytes = new Uint8Array(pixels.buffer);
  let text = "";
  for (let at = 0; at < bytes.length; at += 32768) text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  return btoa(text);
}"""
"""Put a bar of words below a picture of the page; return its pixels, and none where it is as the picture before.

Of 4,096 colours, the file is half as large as of all.
"""


@dataclass
class Film:
    """The frames that were taken of a page: the pixels that have changed, and for how many milliseconds it stays."""

    page: Page
    reader: Page
    frames: list[tuple[bytes, int]] = field(default_factory=list)

    def take(self, words: str, seconds: float) -> None:
        """Take what the page shows now, with *words* below it."""
        png = base64.b64encode(self.page.screenshot(animations="disabled")).decode()
        changed = base64.b64decode(self.reader.evaluate(PIXELS, [png, words, BAR]))
        self.frames.append((changed, int(seconds * 1000)))


def play(film: Film) -> None:
    """Rotate a key by hand, the wrong secret first."""
    ask(film)
    give(film, "Enter new secret", WRONG_SECRET, "A private form takes the new secret. This one is wrong.")
    says(film.page, "stopped: the new secret was refused")
    from_its_top(film.page)
    film.take("Refused on a throw-away model. No caller has noticed: 0 failed.", 4)
    give(film, "Another secret", GOOD_SECRET, "The right secret this time.")
    see_it_move(film)
    approve(film)


def ask(film: Film) -> None:
    film.page.evaluate("document.getElementById('guide').style.display = 'none'")
    expect(film.page.locator("#traffic .totals")).to_contain_text(re.compile(r"[3-9]\d\d requests answered"))
    film.page.locator("#box").fill(f"/rotate-key {KEY}")
    film.take("A requester asks to rotate a key. Callers are at work.", 2)
    send(film.page, f"/rotate-key {KEY}")
    says(film.page, "5 models in 2 environments use this key")
    film.take("The channel sees what uses the key. Nothing has changed yet.", 3)


def give(film: Film, button: str, secret: str, words: str) -> None:
    press(film.page, button)
    form(film.page).get_by_label("New secret", exact=True).fill(secret)
    film.take(words, 2.5)
    form(film.page).get_by_role("button", name="Create new key").click()


def see_it_move(film: Film) -> None:
    moved = film.page.locator("#environments").get_by_role("row").locator(".key").filter(has_text="C")
    for least in (1, 6):
        moved.nth(least - 1).wait_for()
        film.take("Keyturn moves the models wave by wave and verifies each wave.", 1.5)
    says(film.page, "waiting for an approver")
    from_its_top(film.page)
    film.take("Proved: the gateways' own counters show the new key. The old key is silent.", 5)


def from_its_top(page: Page) -> None:
    """Show the card from its headline on: that is where a person begins to read."""
    card(page).evaluate("(node) => node.scrollIntoView({ block: 'start' })")


def approve(film: Film) -> None:
    be(film.page, "U_APPROVER")
    press(film.page, "Delete old key")
    film.take("An approver, not the requester, deletes the old key.", 3)
    confirm(film.page, "Delete")
    says(film.page, "old key deleted")
    film.take("Deleted after one more look. Test requests continue for a while.", 3)
    card(film.page).get_by_role("button", name="replies").click()
    expect(film.page.get_by_role("region", name="Thread")).to_contain_text("Receipt")
    film.take("The thread keeps the receipt.", 4)


# --- APNG ---


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a piece of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def apng(frames: list[tuple[bytes, int]]) -> bytes:
    """Return the frames as one PNG that moves, for ever."""
    pieces = [chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 6, 0, 0, 0))]
    pieces.append(chunk(b"acTL", struct.pack(">II", len(frames), 0)))
    number = 0
    for pixels, milliseconds in frames:
        rows = (b"\0" + pixels[at : at + 4 * WIDTH] for at in range(0, len(pixels), 4 * WIDTH))
        data = zlib.compress(b"".join(rows), 9)
        shown = struct.pack(">IIIIIHHBB", number, WIDTH, HEIGHT, 0, 0, milliseconds, 1000, 0, 1)
        pieces.append(chunk(b"fcTL", shown))
        pieces.append(chunk(b"fdAT", struct.pack(">I", number + 1) + data) if number else chunk(b"IDAT", data))
        number += 2 if number else 1
    return b"\x89PNG\r\n\x1a\n" + b"".join([*pieces, chunk(b"IEND", b"")])


def main() -> None:
    """Play it, keep it, and note what it was drawn from."""
    with sandbox() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(**BROWSER)
        size = {"width": WIDTH, "height": PAGE}
        page = browser.new_page(viewport=size, locale="en-GB", timezone_id="UTC", color_scheme="light")
        begin(page, f"{address}?as=U_REQUESTER")
        film = Film(page, browser.new_page())
        play(film)
        browser.close()
    MOVING.write_bytes(apng(film.frames))
    note(moving_sources())
    print(f"Drawn: {len(film.frames)} frames to {MOVING.relative_to(ROOT)}, {MOVING.stat().st_size // 1000} kB.")  # noqa: T201


if __name__ == "__main__":
    main()
