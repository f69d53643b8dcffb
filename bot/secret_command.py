"""`keyturn secret ROTATION < file`: give the new secret at the command line, with a token from Slack.

The secret comes by standard input, the token by a prompt or the environment: all of a machine see arguments.
"""

import os
import sys
from getpass import getpass
from typing import NamedTuple

import click

from bot.app import parts, service_of
from bot.rotation.errors import Refused
from bot.rotation.secret import Submitted
from bot.service.giving import CommandLineTokens
from bot.settings import Settings, WrongSettings
from bot.terminal import user_name

VARIABLE = "KEYTURN_TOKEN"

MOST = 100_000
"""Bytes of a secret that are read; the longest document of a provider has a tenth of that."""


class Order(NamedTuple):
    """What was typed: the rotation, and what everybody may read; None keeps what the rotation has."""

    rotation: str
    name: str | None = None
    reason: str | None = None
    ticket: str | None = None


def _read() -> list[str]:
    """Return the secret as the only item of a list, for who takes it out; refuse to read it from a terminal."""
    if sys.stdin.isatty():
        raise Refused("A terminal shows what you type: give the secret from a file, as in keyturn secret ID < file.")
    found = sys.stdin.buffer.read(MOST + 1)
    if len(found) > MOST:
        raise Refused(f"This is no secret: it has more than {MOST:,} bytes.")
    text = found.decode("utf-8-sig", errors="ignore")
    if text.encode() != found.removeprefix(BOM):
        raise Refused("This is no secret: it is not text in UTF-8.")
    return [text]


BOM = b"\xef\xbb\xbf"


def _token() -> str:
    """Return the token, from the environment or by a prompt."""
    if given := os.environ.pop(VARIABLE, "").strip():
        return given
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise Refused(f"There is no terminal to ask for the token: set {VARIABLE}.") from None
    return getpass("Token (from /rotate-key token ID): ").strip()


async def give(settings: Settings, order: Order) -> bool:
    """Give the secret as the person of the token, create the replacement, and say what comes of it."""
    if settings.redis_url is None:
        raise WrongSettings("REDIS_URL is missing: the bot is another process, and has to share it: redis://….")
    secret, given = _read(), _token()
    async with parts(settings) as built:
        rotations = service_of(built)
        known = await rotations.load(order.rotation)
        texts = (order.name or "", _or(order.reason, known.why), _or(order.ticket, known.ticket))
        submitted = Submitted(secret.pop(), *texts)
        tokens = CommandLineTokens(rotations, built.tickets)
        rotation = await tokens.give(order.rotation, given, submitted, user=user_name())
        await rotations.create_replacement(rotation)
        new = (await rotations.load(rotation.id)).replacement
    if new and new.refusal:
        raise Refused(f"{new.refusal} The card in Slack shows what helps.")
    click.echo("Taken. The card in Slack shows what comes of it.")
    return True


def _or(given: str | None, known: str) -> str:
    return known if given is None else given
