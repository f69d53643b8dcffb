"""The history of rotations, by the command and in a form; and the receipt of one of them."""

from typing import Any

from pydantic import ValidationError
from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.errors import BadInput, WrongState
from bot.rotation.history import Wanted, read, wanted
from bot.rotation.naming import tag_of
from bot.service import RotationService
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers
from handlers.background import Background
from handlers.errors import answered, explain
from handlers.forms import Forms, press_again_at
from handlers.lists import PAGE, line, listing
from handlers.payload import day, member, person_of, said, text, typed
from handlers.views.blocks import Block
from handlers.views.history import BY, ENVIRONMENT, SINCE, TITLE, UNTIL, Found, history_form, history_page
from handlers.views.modal import KEY, VALUE, notice

Json = dict[str, Any]

SLOW = "Reading so many rotations took too long. Ask once more: what was read is kept."
STALE = "Keyturn can't read this form any more. Close it, and open it again."


async def history(rotations: RotationService, announcer: SlackAnnouncer, by: str, asked: str = "") -> str:
    """List a page of the last rotations, or of those that the filters mean."""
    await rotations.check_may_look("history", by=by)
    filters, number = read(asked)
    page = await rotations.search(filters, number, PAGE)
    if not page.total:
        return "There was none yet." if filters == Wanted() else "No rotation is like that."
    title = "The last rotations" if filters == Wanted() else "Found, the newest first"
    part = f", {page.begin + 1:,} to {page.end:,} of {page.total:,}" if page.total > PAGE else ""
    left = [f"{page.unreadable} of them can't be read by this version of Keyturn."] if page.unreadable else []
    more = [f"The same with `page:{page.end // PAGE + 1}` lists the next."] if page.end < page.total else []
    return await listing(f"{title}{part}:", page.rotations, announcer, *left, *more)


async def receipt(rotations: RotationService, announcer: SlackAnnouncer, by: str, asked: str = "") -> str:
    """Link to the receipt and the card of the rotation of an id, which the tag in a new key's name has, too."""
    await rotations.check_may_look("receipt", by=by)
    tag = tag_of(asked)
    if tag is None:
        raise BadInput(GIVE_ID, field="id")
    try:
        rotation = await rotations.load(tag.rotation)
    except WrongState:
        raise WrongState(NO_RECEIPT) from None
    where = await announcer.link(rotation, "receipt")
    if not rotation.deleted_at:
        told = "It has no receipt: that comes with the delete of the old key."
    elif not where:
        told = "Its receipt is on its way."
    else:
        told = f"<{where}|Open its receipt>; `keyturn receipt {rotation.id}` prints it with its proof."
    return f"{await line(rotation, announcer)}\n{told}"


GIVE_ID = "Give a rotation's id, as in `/rotate-key receipt r7k2abc`, or its new key's name."
NO_RECEIPT = f"There is no such receipt. {GIVE_ID}"


@answered
async def open_history(ack: AsyncAck, body: Json, rotations: RotationService, forms: Forms, answers: Answers) -> None:
    """Open the form with the filters."""
    await ack()
    await rotations.check_may_look("history", by=person_of(body))
    await forms.open(text(body, "trigger_id"), history_form(), press_again_at("History…"))


async def find(ack: AsyncAck, view: Json, body: Json, rotations: RotationService, announcer: SlackAnnouncer) -> None:
    """Show the first page in the place of the form; say at a field what is wrong with it."""
    try:
        filters = wanted(
            {
                "key": typed(view, KEY, VALUE),
                "by": member(view, BY, VALUE),
                "env": typed(view, ENVIRONMENT, VALUE),
                "since": day(view, SINCE, VALUE),
                "until": day(view, UNTIL, VALUE),
            }
        )
        shown = await _page(filters, 1, person_of(body), rotations, announcer)
    except TimeoutError:
        await ack(response_action="errors", errors={KEY: SLOW})
    except Exception as error:  # noqa: BLE001 - any error is shown at a field of the form
        await ack(response_action="errors", errors={KEY: explain(error)[0]})
    else:
        await ack(response_action="update", view=shown)


async def turn(ack: AsyncAck, view: Json, body: Json, rotations: RotationService, announcer: SlackAnnouncer) -> None:
    """Show the page that the button of a page names."""
    number, _, filters = said(view.get("private_metadata")).partition(" ")
    try:
        shown = await _page(Wanted.model_validate_json(filters), int(number), person_of(body), rotations, announcer)
    except TimeoutError:
        shown = notice(TITLE, SLOW)
    except (ValidationError, ValueError):
        shown = notice(TITLE, STALE)
    except Exception as error:  # noqa: BLE001 - any error is shown in the place of the page
        shown = notice(TITLE, explain(error)[0])
    await ack(response_action="update", view=shown)


async def _page(filters: Wanted, number: int, by: str, rotations: RotationService, announcer: SlackAnnouncer) -> Block:
    async with Background.patience():
        await rotations.check_may_look("history", by=by)
        page = await rotations.search(filters, number, PAGE)
        found = [Found(rotation, await announcer.link(rotation)) for rotation in page.rotations]
        return history_page(filters, found, page.begin, page.end, page.total, announcer.places)
