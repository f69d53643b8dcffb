"""`python -m bot audit`: prints the audit trail, and says whether it is as it was written."""

from collections.abc import Mapping, Sequence
from typing import Any

import click

from bot import audit
from bot.store import Store


async def export(store: Store) -> None:
    """Print every entry, a line each, oldest first."""
    async for line in store.trail():
        click.echo(line)


async def verify_store(store: Store, head: str | None) -> bool:
    """Say whether the trail is whole, holds *head*, and explains the record of every rotation."""
    try:
        before = audit.verified(await _lines(store))
        records = await store.standings(audit.standings(before))
        after = audit.verified(await _lines(store))  # a bot may be at work
        audit.check_records(records, before, after)
        return _well(after, head)
    except audit.Fault as fault:
        return _wrong(str(fault))
    except UnicodeDecodeError:
        return _wrong("An entry or a record was changed: it holds bytes that Keyturn does not write.")


def verify_text(text: str, head: str | None) -> bool:
    """Say whether an exported trail is whole and holds *head*."""
    try:
        return _well(audit.verified(text.removesuffix("\n").split("\n") if text else []), head)
    except audit.Fault as fault:
        return _wrong(str(fault))


async def _lines(store: Store) -> list[str]:
    return [line async for line in store.trail()]


def _well(entries: Sequence[Mapping[str, Any]], head: str | None) -> bool:
    named = f" `{head}` is entry {audit.check_head(head, entries)}." if head is not None else ""
    last = f", and the last is `{entries[-1]['hash'][: audit.SHORT]}`" if entries else ""
    click.echo(f"ok     audit trail: {len(entries)} entries, each chained to the one before{last}.{named}")
    return True


def _wrong(sentence: str) -> bool:
    click.echo(f"WRONG  audit trail: {sentence}")
    return False
