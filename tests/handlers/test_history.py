"""The form of the history: what is sent reaches the search, and its answer comes in the same place."""

from datetime import date
from typing import Any
from unittest.mock import AsyncMock

import pytest

from bot.rotation.errors import NotAllowed, UnknownKey, WrongState
from bot.rotation.history import Wanted
from bot.storage.lists import Page
from handlers.commands import start
from handlers.history import SLOW, STALE, find, receipt, turn
from handlers.lists import PAGE
from handlers.views.history import history_page
from handlers.views.modal import KEY
from sandbox.slack import check_view
from tests.handlers import records as r

BODY = {"user": {"id": "U_MEMBER"}}
FIELDS = {
    "key": {"value": "openai"},
    "by": {"selected_user": r.APPROVER},
    "environment": {"value": "production"},
    "since": {"selected_date": "2026-11-01"},
    "until": {"selected_date": None},
}
FILTERS = Wanted(key="openai", person=r.APPROVER, environment="production", since=date(2026, 11, 1))


def desk(answer: Any = None) -> tuple[AsyncMock, AsyncMock]:
    """A service that finds something, or fails, and an announcer that links to it."""
    rotations, announcer = AsyncMock(), AsyncMock()
    rotations.search.side_effect = [answer or Page([r.completed()] * PAGE, 0, PAGE, 2500)]
    announcer.link.return_value = "https://keyturn.slack.com/archives/C_OPS/p1"
    return rotations, announcer


def filled(**changes: Any) -> dict[str, Any]:
    return {"state": {"values": {name: {"value": value} for name, value in (FIELDS | changes).items()}}}


async def test_the_filters_reach_the_search_and_the_page_comes_in_the_place_of_the_form() -> None:
    ack, (rotations, announcer) = AsyncMock(), desk()
    await find(ack, filled(), BODY, rotations, announcer)

    rotations.check_may_look.assert_awaited_once_with("history", by="U_MEMBER")
    rotations.search.assert_awaited_once_with(FILTERS, 1, PAGE)
    shown = ack.await_args.kwargs
    assert shown["response_action"] == "update"
    assert check_view(shown["view"]) == []
    assert shown["view"]["submit"]["text"] == "Next page"


async def test_the_button_of_a_page_shows_the_next_one_of_the_same_filters_until_the_last() -> None:
    view = history_page(FILTERS, [], PAGE, 2 * PAGE, 2500)
    for left in (True, False):
        ack, (rotations, announcer) = AsyncMock(), desk(Page([], 2 * PAGE, 3 * PAGE, 2500 if left else 3 * PAGE))
        await turn(ack, view, BODY, rotations, announcer)

        rotations.search.assert_awaited_once_with(FILTERS, 3, PAGE)
        assert ("submit" in ack.await_args.kwargs["view"]) is left


@pytest.mark.parametrize(
    ("changes", "answer", "said"),
    [
        ({}, NotAllowed("Guests cannot use Keyturn."), "Guests cannot use Keyturn."),
        ({}, TimeoutError(), SLOW),
        ({"since": {"selected_date": "2026-02-31"}}, None, "`since:` and `until:` take a day, as 2026-11-01."),
        ({"by": {"selected_user": "everybody"}}, None, "`by:` takes a person: type @ and choose one."),
    ],
)
async def test_what_is_wrong_is_said_in_the_form(changes: dict[str, Any], answer: Any, said: str) -> None:
    ack, (rotations, announcer) = AsyncMock(), desk(answer)
    await find(ack, filled(**changes), BODY, rotations, announcer)

    assert ack.await_args.kwargs == {"response_action": "errors", "errors": {KEY: said}}


@pytest.mark.parametrize("metadata", ["", "2", "x {}", "2 {", '2 {"since": "never"}', 7, None])
async def test_a_page_that_keyturn_did_not_draw_finds_nothing_and_says_so(metadata: Any) -> None:
    ack, (rotations, announcer) = AsyncMock(), desk()
    await turn(ack, {"private_metadata": metadata}, BODY, rotations, announcer)

    assert STALE in str(ack.await_args.kwargs["view"])
    rotations.search.assert_not_awaited()


async def test_where_there_is_no_such_receipt_the_answer_says_so() -> None:
    rotations, announcer = desk()
    rotations.load.side_effect = WrongState("Keyturn does not know this rotation any more.")
    with pytest.raises(WrongState, match="There is no such receipt"):
        await receipt(rotations, announcer, "U_MEMBER", "r7k2abd")

    rotations.begin.side_effect = UnknownKey("receipt WRONG", ())
    with pytest.raises(WrongState, match="There is no such receipt"):
        await start("receipt WRONG", "C_OPS", BODY, rotations, announcer)
    with pytest.raises(UnknownKey):
        await start("receipts", "C_OPS", BODY, rotations, announcer)


@pytest.mark.parametrize("asked", ["r7k2abc", "r7k2abc-2", "OpenAI production (2026-11-23 r7k2abc)"])
async def test_a_receipt_is_found_by_the_rotations_id_and_by_its_new_keys_name(asked: str) -> None:
    rotations, announcer = desk()
    rotations.load.return_value = r.completed()
    said = await receipt(rotations, announcer, "U_MEMBER", asked)

    rotations.load.assert_awaited_once_with("r7k2abc")
    assert "|Open its receipt>; `keyturn receipt r7k2abc` prints it with its proof." in said
