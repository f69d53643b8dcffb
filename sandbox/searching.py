"""Look for secrets where none may be: in all that the bot sent to Slack, in its log, and in its Redis."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from sandbox.company import Company

SHOWN = 11
"""Characters at the beginning that a provider itself shows."""

LONG = 12
"""Characters in a row that give a secret away."""


def gives_away(text: str, secret: str) -> bool:
    """Return whether *text* holds a piece of *secret*."""
    return any(secret[begin : begin + LONG] in text for begin in range(SHOWN, len(secret) - LONG + 1))


def secrets_of(company: Company) -> Iterator[str]:
    """Yield the provider's admin key, and every secret that it has made."""
    yield company.provider.admin_key
    yield from (each.secret for each in company.provider.credentials.values() if each.owner_name)


def places(company: Company, folder: Path, log: Path) -> Mapping[str, str]:
    """Return what is in each place that outlives the bot, or that others see."""
    slack = company.slack
    redis = "".join(file.read_text(errors="replace") for file in folder.rglob("appendonly.aof*"))
    return {
        "Slack": json.dumps([(call.method, call.args) for call in slack.calls], default=str)
        + json.dumps(slack.payloads, default=str),
        "the bot's log": log.read_text(errors="replace"),
        "its Redis": redis,
    }


def found(company: Company, folder: Path, log: Path) -> list[str]:
    """Return in which places a piece of a secret is."""
    secrets, said = [*secrets_of(company)], places(company, folder, log)
    unread = [place for place, mark in MARKS.items() if mark not in said[place]]
    held = [place for place, text in said.items() if any(gives_away(text, secret) for secret in secrets)]
    return [*held, *(f"{place}, which can't be read" for place in unread)]


MARKS = {"Slack": "chat.update", "the bot's log": "ready", "its Redis": ":rotation:"}
"""What is in each place after every rotation: a search that reads nothing finds nothing."""
