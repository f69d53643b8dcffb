"""A ticket as people see it: a link wherever it stands, and plain text where it opens nothing."""

from collections.abc import Iterator
from unittest.mock import AsyncMock

import pytest

from bot.rotation.history import Wanted
from bot.rotation.overview import Sights, overview
from bot.rotation.ticket import TicketPattern
from bot.storage.lists import Page
from handlers.commands import status
from handlers.history import history
from handlers.views.around import Around
from handlers.views.composed import composed
from handlers.views.history import Found, history_page
from handlers.views.home import home
from handlers.views.links import NOWHERE, Places, ticket
from handlers.views.modal import secret_form
from sandbox.slack import check_view
from tests.handlers import records as r
from tests.handlers.cases import WHOM

OPS = TicketPattern(pattern=r"OPS-\d+", template="https://tracker.example.com/browse/{ticket}")
PLACES = Places(tickets=OPS)
LINK = "<https://tracker.example.com/browse/OPS-4412|OPS-4412>"
GIVEN = {"why": "quarterly", "ticket": "OPS-4412"}
UNDER_WAY, ENDED = r.awaiting_approval(**GIVEN), r.completed(**GIVEN).but(id="r8ended")


async def places_of_a_ticket(places: Places) -> dict[str, str]:
    """Everything in Slack that shows the ticket, by its name."""
    rotations, announcer = AsyncMock(), AsyncMock()
    announcer.places = places
    announcer.link.return_value = "https://keyturn.slack.com/archives/C_OPS/p1"
    rotations.under_way.return_value = Page([UNDER_WAY], 0, 1, 1)
    rotations.search.return_value = Page([ENDED], 0, 1, 1)
    rotations.to_revoke.return_value = []
    seen = overview(Sights((UNDER_WAY,), (ENDED,), keys=()), WHOM["approver"])
    messages = composed(ENDED, "", Around(places=places))
    return {
        "card": str(messages.card),
        "receipt": str(next(one.content for one in messages.replies() if one.key.startswith("receipt"))),
        "status": await status(rotations, announcer, "U_MEMBER"),
        "history": await history(rotations, announcer, "U_MEMBER"),
        "form": str(history_page(Wanted(), [Found(ENDED, "")], 0, 1, 1, places)),
        "waiting": str(home(seen, {}, r.at(1000), places)),
        "last": str(home(seen._replace(waiting=()), {}, r.at(1000), places)),
    }


async def test_reason_and_ticket_stand_on_card_receipt_lists_and_home_and_the_ticket_is_a_link() -> None:
    for name, said in (await places_of_a_ticket(PLACES)).items():
        assert "`quarterly`" in said, name
        assert LINK in said, name
    for name, said in (await places_of_a_ticket(NOWHERE)).items():
        assert "`OPS-4412`" in said, name
        assert "tracker" not in said, name


def shown(given: str) -> Iterator[str]:
    rotation = r.running("verify", ticket=given)
    yield ticket(rotation, PLACES)
    yield ticket(rotation, Places(tickets=TicketPattern(pattern=".+", template="https://tracker.example.com/{ticket}")))


@pytest.mark.parametrize("given", ["<!channel>", "a|b> <@U1>", "<https://evil.example|OPS-1>", "https://evil.example"])
def test_a_ticket_mentions_nobody_and_opens_nothing_else(given: str) -> None:
    plain, linked = shown(given)

    assert plain.startswith("`")
    assert "<" not in plain
    assert linked.startswith("<https://tracker.example.com/")
    assert (linked.count("<"), linked.count(">")) == (1, 1)
    assert "//evil" not in linked.partition("|")[0]


def test_the_form_says_what_a_ticket_looks_like() -> None:
    view = secret_form(r.awaiting_secret(), "new", tickets=OPS)

    assert check_view(view) == []
    assert r"It has to fit OPS-\\d+" in str(view)
