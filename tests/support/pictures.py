"""The pictures of the documents: which golden files each shows, and whether they are still what was drawn."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from bot.rotation.actions import Action
from bot.rotation.secret import Typed
from bot.rotation.ticket import TicketPattern
from handlers.views.page import approval
from handlers.views.secret_page import Asked, Wrong, secret_page
from tests.handlers import records as r
from tests.support.documents import ROOT

GOLDEN = ROOT / "tests/handlers/golden"
DRAWING = ROOT / "sandbox/page/static"
KEPT = ROOT / "docs/pictures"
MANIFEST = KEPT / "drawn.json"
"""What they were drawn from: a digest of each golden file, and one of the page's drawing modules."""

MODULES = (
    "blocks.js",
    "colours.css",
    "dialog.js",
    "dom.js",
    "draw.css",
    "draw.html",
    "draw.js",
    "folding.js",
    "mrkdwn.js",
    "newer.css",
    "plan.js",
    "plot.js",
    "rich.js",
    "slack.css",
    "tables.js",
)
"""What decides how a golden file is drawn. Menus have a module of their own; no picture shows one."""

MOVING = KEPT / "rotation.png"
"""The README's moving picture: one rotation, played on the page by `tests.browser.moving_picture`."""

SCENES = (
    "card-awaiting-secret",
    "form-secret",
    "card-stopped-rejected-in-the-rehearsal",
    "card-awaiting-approval-proved",
    "receipt-after-watch",
)
"""The golden files whose kind it shows: when one of them changes, it shows something else than the bot does."""

AGAIN = "draw the pictures again and look at them: make pictures"

PICTURES: Mapping[str, str] = {
    "impact-card": "card-awaiting-secret",
    "secret-form": "form-secret",
    "thread": "thread-awaiting-approval-proved",
    "stopped-card": "card-stopped-rejected-in-the-rehearsal",
    "evidence-card": "card-awaiting-approval-proved",
    "receipt": "receipt-after-watch",
    "exposed-card": "card-exposed-running",
    "home": "home-requester",
    "harm": "reply-reminder-harm",
    "harm-direct": "direct-page",
    "digest": "batch-of-five",
}


OPS = TicketPattern(pattern=r"OPS-\d+")
WRONG_TICKET = Wrong("ticket", "A ticket has to fit OPS-\\d+, and this one does not.", 409)


def sign_in_page() -> str:
    """Return the page on which an approver approves after a sign-in."""
    return approval(
        r.listening(r.proved(r.awaiting_approval(tally=r.CALLERS))),
        Action.DELETE_OLD_KEY,
        "approver@example.com",
        "0" * 32,
    )


def secret_page_again(wrong: Wrong | None = WRONG_TICKET) -> str:
    """Return the page on which a requester gives the new secret, after a mistake."""
    typed = Typed("", "OpenAI production (2026-11-23 r7k2abc)", "quarterly", "4412" if wrong else "")
    asked = Asked(r.awaiting_secret(), "Requester (requester@example.com)", "0" * 32, typed, False, OPS, "")
    return secret_page(asked, wrong)


PAGES: Mapping[str, Callable[[], str]] = {"sign-in-page": sign_in_page, "secret-page": secret_page_again}
"""Pictures of the bot's own pages, which a browser draws as they are."""


def sources() -> dict[str, str]:
    goldens = {name: _digest([GOLDEN / f"{golden}.json"]) for name, golden in PICTURES.items()}
    goldens |= {name: hashlib.sha256(html().encode()).hexdigest() for name, html in PAGES.items()}
    return goldens | {"page": _digest([DRAWING / name for name in MODULES])}


def _digest(files: list[Path]) -> str:
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def moving_sources() -> dict[str, str]:
    return {MOVING.stem: _digest([GOLDEN / f"{name}.json" for name in SCENES])}


def note(sources: dict[str, str]) -> None:
    MANIFEST.write_text(json.dumps({**drawn(), **sources}, indent=2) + "\n")


def drawn() -> dict[str, str]:
    found: dict[str, str] = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    return found


def pictures(folder: Path) -> list[str]:
    return sorted(file.stem for file in folder.glob("*.png"))
