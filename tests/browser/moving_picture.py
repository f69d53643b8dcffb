"""`make pictures`: a rotation as a moving picture, played on the page of `make play` and kept for the README.

A wrong secret, the right one, the approval and the delete, with callers at work. What a frame shares with the one
before is left out of it.
"""

import base64
import re
import struct
import subprocess
import sys
import zlib
from array import array
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from playwright.sync_api import Page, expect, sync_playwright

from sandbox.company import GOOD_SECRET, KEY, WRONG_SECRET
from tests.browser.people import be, card, confirm, form, press, says, send
from tests.browser.pictures import CHROMIUM
from tests.support.documents import ROOT
from tests.support.pictures import MOVING, moving_sources, note

WIDTH, PAGE, BAR = 1200, 740, 48
HEIGHT = PAGE + BAR
PATIENCE = 60_000
"""Milliseconds that anything may take."""

COLOURS = 255
"""Of a palette's 256, one means that a pixel is as it was."""

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
  const data = context.getImageData(0, 0, canvas.width, canvas.height).data;
  let text = "";
  for (let at = 0; at < data.length; at += 32768) text += String.fromCharCode(...data.subarray(at, at + 32768));
  return btoa(text);
}"""
"""Read a picture of the page, with a bar of words below. The browser can read a PNG; so no package has to."""


@dataclass(frozen=True)
class Frame:
    """What the page shows for a while."""

    pixels: "array[int]"
    milliseconds: int


@dataclass
class Film:
    """The frames that were taken of a page."""

    page: Page
    reader: Page
    frames: list[Frame] = field(default_factory=list)

    def take(self, words: str, seconds: float) -> None:
        """Take what the page shows now, with *words* below it."""
        png = base64.b64encode(self.page.screenshot(animations="disabled")).decode()
        pixels = array("I", base64.b64decode(self.reader.evaluate(PIXELS, [png, words, BAR])))
        self.frames.append(Frame(pixels, int(seconds * 1000)))


def play(film: Film) -> None:
    """Rotate a key by hand, the wrong secret first."""
    for act in (ask, give_a_wrong_secret, give_the_right_one, see_it_move, approve):
        act(film)


def ask(film: Film) -> None:
    film.page.evaluate("document.getElementById('guide').style.display = 'none'")
    expect(film.page.locator("#traffic .totals")).to_contain_text(re.compile(r"[3-9]\d\d requests answered"))
    film.page.locator("#box").fill(f"/rotate-key {KEY}")
    film.take("A requester asks to rotate a key. Callers are at work.", 2)
    send(film.page, f"/rotate-key {KEY}")
    says(film.page, "5 models in 2 environments use this key")
    film.take("The channel sees what uses the key. Nothing has changed yet.", 3)


def fill_in(film: Film, button: str, secret: str, words: str) -> None:
    press(film.page, button)
    form(film.page).get_by_label("New secret", exact=True).fill(secret)
    film.take(words, 2.5)
    form(film.page).get_by_role("button", name="Create replacement").click()


def give_a_wrong_secret(film: Film) -> None:
    fill_in(film, "Enter new secret", WRONG_SECRET, "A private form takes the new secret. This one is wrong.")
    says(film.page, "stopped: the new secret was refused")
    film.take("Refused on a throw-away model. No caller has noticed: 0 failed.", 4)


def give_the_right_one(film: Film) -> None:
    fill_in(film, "Another secret", GOOD_SECRET, "The right secret this time.")


def see_it_move(film: Film) -> None:
    moved = film.page.locator("#environments").get_by_role("row").locator(".key").filter(has_text="C")
    for least in (1, 6):
        moved.nth(least - 1).wait_for()
        film.take("Keyturn moves the models wave by wave and verifies each wave.", 1.5)
    says(film.page, "waiting for an approver")
    film.take("Proved: the gateways' own counters show the new key. The old key is silent.", 5)


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


def palette_of(frames: Sequence[Frame]) -> list[int]:
    """Return the colours that are used most."""
    used: Counter[int] = Counter()
    for frame in frames:
        used.update(frame.pixels)
    return [colour for colour, _ in used.most_common(COLOURS)]


def nearest(palette: Sequence[int]) -> Callable[[int], int]:
    """Return what finds a colour's place in the palette; the first is the one that means "as before"."""
    parts = [tuple(colour.to_bytes(4, "little")[:3]) for colour in palette]
    known = {colour: place for place, colour in enumerate(palette, 1)}

    def find(colour: int) -> int:
        if colour not in known:
            red, green, blue = colour.to_bytes(4, "little")[:3]
            far = [(red - r) ** 2 + (green - g) ** 2 + (blue - b) ** 2 for r, g, b in parts]
            known[colour] = far.index(min(far)) + 1
        return known[colour]

    return find


def chunk(kind: bytes, data: bytes) -> bytes:
    """Return a piece of a PNG."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def packed(places: bytes) -> bytes:
    """Return a frame's rows as a PNG wants them: unfiltered, as a palette's places compress best."""
    rows = (b"\0" + places[at : at + WIDTH] for at in range(0, len(places), WIDTH))
    return zlib.compress(b"".join(rows), 9)


def changes(frames: Sequence[Frame], find: Callable[[int], int]) -> Iterator[bytes]:
    """Yield the places of each frame's colours, 0 where a pixel is as before."""
    before: bytes = bytes(WIDTH * HEIGHT)
    for frame in frames:
        now = bytes(map(find, frame.pixels))
        yield bytes(0 if new == old else new for new, old in zip(now, before, strict=True))
        before = now


def apng(frames: Sequence[Frame]) -> bytes:
    """Return the frames as one PNG that moves, for ever."""
    palette = palette_of(frames)
    colours = b"\0\0\0" + b"".join(colour.to_bytes(4, "little")[:3] for colour in palette)
    pieces = [
        chunk(b"IHDR", struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 3, 0, 0, 0)),
        chunk(b"acTL", struct.pack(">II", len(frames), 0)),
        chunk(b"PLTE", colours),
        chunk(b"tRNS", b"\0"),
    ]
    number = 0
    for frame, places in zip(frames, changes(frames, nearest(palette)), strict=True):
        shown = struct.pack(">IIIIIHHBB", number, WIDTH, HEIGHT, 0, 0, frame.milliseconds, 1000, 0, 1)
        data = packed(places)
        later = number > 0
        pieces.append(chunk(b"fcTL", shown))
        pieces.append(chunk(b"fdAT", struct.pack(">I", number + 1) + data) if later else chunk(b"IDAT", data))
        number += 2 if later else 1
    return b"\x89PNG\r\n\x1a\n" + b"".join([*pieces, chunk(b"IEND", b"")])


@contextmanager
def sandbox() -> Iterator[str]:
    """Run the page in a process of its own; lend its address."""
    command = [sys.executable, "-u", "-m", "sandbox.page"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(line.strip() for line in process.stdout if line.strip().startswith("http://"))
        finally:
            process.terminate()
            process.communicate()


def main() -> None:
    """Play it, keep it, and note what it was drawn from."""
    expect.set_options(timeout=PATIENCE)
    with sandbox() as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        size = {"width": WIDTH, "height": PAGE}
        page = browser.new_page(viewport=size, locale="en-GB", timezone_id="UTC", color_scheme="light")
        page.set_default_timeout(PATIENCE)
        page.goto(f"{address}?as=U_REQUESTER")
        page.get_by_role("navigation", name="Channels").get_by_role("button").first.wait_for()
        film = Film(page, browser.new_page())
        play(film)
        browser.close()
    MOVING.write_bytes(apng(film.frames))
    note(moving_sources())
    print(f"Drawn: {len(film.frames)} frames to {MOVING.relative_to(ROOT)}, {MOVING.stat().st_size // 1000} kB.")  # noqa: T201


if __name__ == "__main__":
    main()
