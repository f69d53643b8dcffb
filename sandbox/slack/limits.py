"""Check what Slack refuses in a message or a view. Pure.

`check_message(blocks)` and `check_view(view)` return one sentence for each problem, with its place; an empty list
means that Slack would accept it. They need no server, so goldens are checked with them too.
"""

from collections.abc import Collection, Iterator
from typing import Any

from sandbox.slack import totals
from sandbox.slack.blocks import BLOCKS, IN_HOME, IN_MESSAGE, IN_MODAL
from sandbox.slack.checks import Check, Json, anything, boolean, choice, many, problem, shape, string, typed
from sandbox.slack.elements import check_options, plain
from sandbox.slack.refusal import Refusal
from sandbox.slack.totals import BLOCKS_TEXT

__all__ = ["MESSAGE_TEXT", "UPDATE_BYTES", "VIEW_BYTES", "check_message", "check_options", "check_view", "refuse"]

MESSAGE_TEXT = 40_000
"""The most characters of `text` that chat.postMessage accepts."""

UPDATE_BYTES = 4_000
"""The most bytes of `text`, as UTF-8, that chat.update accepts."""

VIEW_BYTES = 250_000
"""The most bytes of a view's JSON."""


def check_message(blocks: Any) -> list[str]:
    """Return why Slack would refuse these blocks in a message."""
    return [problem for _error, problem in _refusals(blocks, (), BLOCKS_TEXT)]


def check_blocks(given: Any, missing: Collection[str] = ()) -> list[str]:
    """Return what is wrong with blocks that may be for any place or, each by itself, with those of a message."""
    if isinstance(given, dict):
        blocks, at, check = given.get("blocks", []), "/blocks", _on(IN_MESSAGE, 50, 0)
    else:
        blocks, at, check = given, "", _on(frozenset(BLOCKS), 100)
    return [*totals.not_there_yet(blocks, at, missing), *check(blocks, at)]


def refuse(blocks: Any, missing: Collection[str] = (), most: int = BLOCKS_TEXT) -> None:
    """Raise Slack's refusal of these blocks in a message, by a workspace without what is *missing*."""
    found = list(_refusals(blocks, missing, most))
    if found:
        error = found[0][0]
        raise Refusal(error, [] if error == TOO_LONG else [problem for each, problem in found if each == error])


def check_view(view: Any, missing: Collection[str] = ()) -> list[str]:
    """Return why Slack would refuse this view, a modal or a home tab."""
    kind = view.get("type") if isinstance(view, dict) else None
    found = list(typed("view", {"modal": MODAL, "home": HOME})(view, "/view"))
    if found or not isinstance(view, dict):
        return found
    blocks, at = view["blocks"], "/view/blocks"
    whole = [*totals.not_there_yet(blocks, at, missing), *totals.same_ids(blocks, at)]
    return [*whole, *(_form_rules(view) if kind == "modal" else ())]


TOO_LONG = "msg_blocks_too_long"
"""An answer with no more than this word."""


def _refusals(blocks: Any, missing: Collection[str], most: int) -> Iterator[tuple[str, str]]:
    """Yield Slack's error and a sentence for each problem of a message."""
    at = "/blocks"
    wrong = [*totals.not_there_yet(blocks, at, missing), *_on(IN_MESSAGE, 50, 0)(blocks, at)]
    yield from (("invalid_blocks", each) for each in wrong)
    if wrong:
        return
    yield from (("invalid_blocks", each) for each in (*totals.same_ids(blocks, at), *totals.too_many(blocks, at)))
    yield from (("invalid_attachments", each) for each in totals.second_table(blocks, at))
    yield from ((TOO_LONG, each) for each in totals.too_long(blocks, at, most))


def _on(surface: frozenset[str], most: int, least: int = 1) -> Check:
    return many(typed("block", {kind: BLOCKS[kind] for kind in sorted(surface)}), most, least)


_VIEW: dict[str, Check] = {
    "private_metadata": string(3000, 0),
    "callback_id": string(255, 0),
    "external_id": string(255, 0),
}
MODAL = shape(
    {"type": choice("modal"), "title": plain(24), "blocks": _on(IN_MODAL, 100)},
    {
        **_VIEW,
        "close": plain(24),
        "submit": plain(24),
        "clear_on_close": boolean,
        "notify_on_close": boolean,
        "submit_disabled": boolean,
    },
)
HOME = shape({"type": choice("home"), "blocks": _on(IN_HOME, 100)}, {**_VIEW, "title": anything})


def _form_rules(view: Json) -> Iterator[str]:
    inputs = [block["element"] for block in view["blocks"] if block["type"] == "input"]
    if inputs and "submit" not in view:
        yield problem("/view", "missing required field: submit (there are input blocks)")
    if sum(bool(element.get("focus_on_load")) for element in inputs) > 1:
        yield problem("/view/blocks", "focus_on_load may be set on one element only")
