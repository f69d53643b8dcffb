"""The pictures of the documents: which golden files each shows, and whether they are still what was drawn."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from tests.support.documents import ROOT

GOLDEN = ROOT / "tests/handlers/golden"
DRAWING = ROOT / "sandbox/page/static"
KEPT = ROOT / "docs/pictures"
MANIFEST = KEPT / "drawn.json"
"""Of each picture, the digest of what it was drawn from."""

MODULES = ("blocks.js", "colours.css", "dom.js", "draw.css", "draw.html", "draw.js", "mrkdwn.js", "slack.css")
"""What decides how a golden file is drawn."""

FORMS = ("dialog.js",)
"""What decides it for a form, besides. Menus have a module of their own; no picture shows one."""

PICTURES: Mapping[str, str] = {
    "impact-card": "card-awaiting-secret",
    "secret-form": "form-secret",
    "thread": "thread-awaiting-approval-proved",
    "stopped-card": "card-stopped-rejected-in-the-rehearsal",
    "evidence-card": "card-awaiting-approval-proved",
    "receipt": "receipt-after-watch",
}


def digest(golden: str) -> str:
    """Name what the picture of a golden file is drawn from."""
    modules = (*MODULES, *FORMS) if golden.startswith("form-") else MODULES
    files = [GOLDEN / f"{golden}.json", *(DRAWING / name for name in modules)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()


def drawn() -> dict[str, str]:
    """Return what the pictures that are kept were drawn from."""
    found: dict[str, str] = json.loads(MANIFEST.read_text()) if MANIFEST.exists() else {}
    return found


def pictures(folder: Path) -> list[str]:
    """Return the names of the pictures in *folder*."""
    return sorted(file.stem for file in folder.glob("*.png"))
