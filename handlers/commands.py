"""`/rotate-key`: the picker, a key by name, status, history and help."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck

from bot.rotation.errors import UnknownKey, WrongState
from bot.rotation.naming import tag_of
from bot.rotation.record import Rotation
from bot.service import BeingRotated, RotationService
from bot.service.giving import CommandLineTokens
from handlers import holding
from handlers.announcer import SlackAnnouncer
from handlers.answers import Answers, Asker
from handlers.errors import answered
from handlers.forms import Forms
from handlers.history import NO_RECEIPT, history, receipt
from handlers.lists import PAGE, listing, task
from handlers.payload import channel_of, person_of, team_of, text
from handlers.picking import pick
from handlers.several import SEVERAL, pick_several
from handlers.views.links import token
from handlers.views.words import being_rotated

COMMAND = "/rotate-key"
FOR_A_TOKEN = "token"  # noqa: S105 - a word

HELP = """*Keyturn* rotates a provider key without an outage.
• `/rotate-key` lets you choose a provider key
• `/rotate-key several` lets you choose several, which are rotated one after the other
• `/rotate-key NAME-OR-ID` shows what uses it (the beginning of a name will do); nothing changes until you give a secret
• `/rotate-key status` lists what is under way, the oldest first; `/rotate-key status 2` is the second page
• `/rotate-key history` lists the last rotations
• `/rotate-key history key:NAME by:@person env:NAME since:2026-11-01 until:2026-11-30 page:2`, with any of these
• `/rotate-key receipt ID` links to the receipt of a rotation; the name of its new key will do, too
• `/rotate-key hold NAME` keeps a key from being deleted until a day, `/rotate-key unhold NAME` lifts that (approvers)
• `/rotate-key token ID` gives the requester a token: `keyturn secret ID < file` then takes the new secret at a terminal
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
    tokens: CommandLineTokens,
) -> None:
    await ack()
    asked, by = typed(text(body, "text")), person_of(body)
    if not asked:
        await pick(COMMAND, channel_of(body), body, forms, rotations)
    elif asked.casefold() == SEVERAL:
        await pick_several(channel_of(body), body, forms, rotations)
    elif words := holding.NAMED.fullmatch(asked):
        await holding.asked(words, body, rotations, forms, answers)
    elif rotation_id := for_a_token(asked):
        await answers.tell(Asker.of(body), token(await tokens.offer(rotation_id, by=by), rotation_id))
    elif ours := said_to_us(asked):
        word, rest = ours
        await answers.tell(Asker.of(body), await WORDS[word](rotations, announcer, by, rest))
    else:
        await start(asked, channel_of(body), body, rotations, announcer)


def for_a_token(asked: str) -> str:
    """Return the rotation for whose secret a token is asked; empty if *asked* means anything else."""
    word, _, rest = asked.partition(" ")
    tag = tag_of(rest) if word.casefold() == FOR_A_TOKEN else None
    return tag.rotation if tag else ""


def typed(sent: str) -> str:
    """Return what a person typed: Slack sends `&`, `<` and `>` as entities, whatever `should_escape` says."""
    plain = sent.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return " ".join(plain.split())


async def start(
    asked: str, channel: str, body: Json, rotations: RotationService, announcer: SlackAnnouncer
) -> Rotation:
    """Begin a rotation; if another one already has the key, point to that one's card."""
    who = {"by": person_of(body), "team": team_of(body), "channel": channel, "request": text(body, "trigger_id")}
    try:
        return await rotations.begin(asked, **who, show=announcer.first)
    except BeingRotated as other:
        raise WrongState(being_rotated(other.rotation, await announcer.link(other.rotation))) from None
    except UnknownKey:
        if asked.casefold().startswith("receipt "):
            raise WrongState(NO_RECEIPT) from None
        raise


async def status(rotations: RotationService, announcer: SlackAnnouncer, by: str, asked: str = "") -> str:
    """List a page of the open rotations."""
    await rotations.check_may_look("status", by=by)
    page = await rotations.under_way(int(asked or 1), PAGE)
    tasks = [await task(rotation, announcer) for rotation in await rotations.to_revoke(PAGE)]
    due = ["To be revoked at the provider, the next due first:", *tasks] if tasks else []
    if not page.total:
        return "\n".join(["Nothing is under way.", *due])
    part = f", {page.begin + 1:,} to {page.end:,} of {page.total:,}" if page.total > PAGE else ""
    left = [f"{page.unreadable} of them can't be read by this version of Keyturn."] if page.unreadable else []
    more = [f"`{COMMAND} status {page.end // PAGE + 1}` lists the next."] if page.end < page.total else []
    return await listing(f"Under way{part}:", page.rotations, announcer, *left, *more, *due)


async def usage(*_: object) -> str:
    """Return the command's help."""
    return HELP


WORDS: dict[str, Callable[[RotationService, SlackAnnouncer, str, str], Awaitable[str]]] = {
    "status": status,
    "history": history,
    "receipt": receipt,
    "help": usage,
}

NUMBER = r"[1-9]\d{0,5}"
TAKES: Mapping[str, str] = {
    "status": NUMBER,
    "history": rf"{NUMBER}|(?:key|by|env|since|until|page):.*",
    "receipt": r".+",
    "help": NUMBER,
}
"""What may stand behind each word of ours; with anything else behind it, it begins the name of a key."""

SAID = re.compile(rf"({'|'.join(WORDS)})(?: (.*))?", re.IGNORECASE | re.ASCII)


def said_to_us(asked: str) -> tuple[str, str] | None:
    """Return a word of ours and what stands behind it; None if *asked* means a key."""
    found = SAID.fullmatch(asked)
    if found is None:
        return None
    word, rest = found[1].casefold(), found[2] or ""
    fits = not rest or re.fullmatch(TAKES[word], rest, re.IGNORECASE | re.ASCII)
    is_key = word == "receipt" and tag_of(rest) is None
    return (word, rest) if fits and not is_key else None
