"""`/rotate-key`: the picker, a key by name, status, history and help."""

import re
from collections.abc import Awaitable, Callable
from itertools import accumulate
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.errors import WrongState
from bot.rotation.record import Rotation
from bot.service import BeingRotated, RotationService
from handlers import holding
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker
from handlers.errors import answered
from handlers.forms import Forms
from handlers.payload import channel_of, person_of, team_of, text
from handlers.picking import pick
from handlers.views import revoking
from handlers.views.blocks import code, when
from handlers.views.words import being_rotated, state_label

COMMAND = "/rotate-key"

PAGE = 10
"""How many rotations a list has."""

HELP = """*Keyturn* rotates a provider key without an outage.
• `/rotate-key` lets you choose a provider key
• `/rotate-key NAME-OR-ID` shows what uses it (the beginning of a name will do); nothing changes until you give a secret
• `/rotate-key status` lists what is under way, the oldest first; `/rotate-key status 2` is the second page
• `/rotate-key history` lists the last rotations
• `/rotate-key hold NAME` keeps a key from being deleted until a day, `/rotate-key unhold NAME` lifts that (approvers)
Never type a secret into a command: the card's *Enter new secret* button opens a private form."""

Json = dict[str, Any]


@answered
async def rotate_key(
    ack: AsyncAck,
    body: Json,
    forms: Forms,
    rotations: RotationService,
    announcer: SlackAnnouncer,
    answers: Answers,
) -> None:
    await ack()
    asked, by = typed(text(body, "text")), person_of(body)
    if not asked:
        await pick(COMMAND, channel_of(body), body, forms, rotations)
    elif words := holding.NAMED.fullmatch(asked):
        await holding.asked(words, body, rotations, forms, answers)
    elif listing := LISTED.fullmatch(asked):
        word, page = listing.groups()
        said = await WORDS[word.casefold()](rotations, announcer, by, int(page or 1))
        await answers.tell(Asker.of(body), said)
    else:
        await start(asked, channel_of(body), body, rotations, announcer)


def typed(sent: str) -> str:
    """Return what a person typed: Slack sends `&`, `<` and `>` as entities, whatever `should_escape` says."""
    plain = sent.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return " ".join(plain.split())


async def start(asked: str, channel: str, body: Json, rotations: RotationService, announcer: SlackAnnouncer) -> None:
    """Begin a rotation; if another one already has the key, point to that one's card."""
    who = {"by": person_of(body), "team": team_of(body), "channel": channel, "request": text(body, "trigger_id")}
    try:
        await rotations.begin(asked, **who, show=announcer.first)
    except BeingRotated as other:
        raise WrongState(being_rotated(other.rotation, await announcer.link(other.rotation))) from None


async def status(rotations: RotationService, announcer: SlackAnnouncer, by: str, number: int = 1) -> str:
    """List a page of the open rotations."""
    await rotations.check_may_look("status", by=by)
    page = await rotations.under_way(number, PAGE)
    tasks = [await _task(rotation, announcer) for rotation in await rotations.to_revoke(PAGE)]
    due = ["To be revoked at the provider, the next due first:", *tasks] if tasks else []
    if not page.total:
        return "\n".join(["Nothing is under way.", *due])
    part = f", {page.begin + 1:,} to {page.end:,} of {page.total:,}" if page.total > PAGE else ""
    left = [f"{page.unreadable} of them can't be read by this version of Keyturn."] if page.unreadable else []
    more = [f"`{COMMAND} status {page.end // PAGE + 1}` lists the next."] if page.end < page.total else []
    return await _list(f"Under way{part}:", page.rotations, announcer, *left, *more, *due)


async def history(rotations: RotationService, announcer: SlackAnnouncer, by: str, _: int = 1) -> str:
    """List the last rotations."""
    await rotations.check_may_look("history", by=by)
    last = await rotations.history()
    return await _list("The last rotations:", last, announcer) if last else "There was none yet."


async def usage(*_: object) -> str:
    """Return the command's help."""
    return HELP


WORDS: dict[str, Callable[[RotationService, SlackAnnouncer, str, int], Awaitable[str]]] = {
    "status": status,
    "history": history,
    "help": usage,
}

LISTED = re.compile(rf"({'|'.join(WORDS)})(?: ([1-9]\d{{0,5}}))?", re.IGNORECASE | re.ASCII)
"""A word of ours, with the number of a page."""


async def _list(title: str, rotations: list[Rotation], announcer: SlackAnnouncer, *after: str) -> str:
    lines = [await _line(rotation, announcer) for rotation in rotations]
    room = ROOM - sum(map(len, after))
    whole = [line for line, length in zip(lines, accumulate(map(len, lines)), strict=True) if length <= room]
    left = [f"And {len(lines) - len(whole)} more, which do not fit here."] if len(whole) < len(lines) else []
    return "\n".join([title, *whole, *left, *after])


ROOM = 3600
"""Letters for the lines of a list: Slack shows about 4,000 of a message."""


async def _line(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    name = code(rotation.plan.old_key.display_name, 60)
    why = f", {code(rotation.motive, 120)}" if rotation.motive else ""
    task = ", still to be revoked" if rotation.is_owed else ""
    return (
        f"• {name}: {state_label(rotation)}, asked for by <@{rotation.requested_by}>, "
        f"{when(rotation.requested_at)}{why}{task} ({await _place(rotation, announcer)})"
    )


async def _task(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    """Say who has to revoke which credential by when."""
    assert rotation.revocation is not None
    name, which = code(rotation.plan.old_key.display_name, 60), rotation.revocation.which
    place = await _place(rotation, announcer)
    return f"• {name}: the {which} API key, by <@{rotation.revocation.owner}>{revoking.due(rotation)} ({place})"


async def _place(rotation: Rotation, announcer: SlackAnnouncer) -> str:
    link = await announcer.link(rotation)
    return f"<{link}|open>" if link else "not shown yet"
