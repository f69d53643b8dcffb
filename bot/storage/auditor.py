"""`python -m bot audit`: print the audit trails, and verify that nobody changed them."""

from collections.abc import Mapping, Sequence
from typing import Any

from bot.rotation import audit
from bot.storage.namespace import Namespace
from bot.storage.records import Store
from bot.terminal import Level, say, tell

Entries = Sequence[Mapping[str, Any]]


async def export(stores: Sequence[Store]) -> None:
    """Print every entry on its own line, oldest first; with several bots, one trail after the other."""
    for store in stores:
        async for line in store.trail():
            say(line)


async def verify_stores(stores: Sequence[Store], head: str | None) -> bool:
    """Verify that each trail is complete and matches every record, and that one of them contains *head*."""
    trails: list[Entries] = []
    for store in stores:
        try:
            trails.append(await _verified(store))
        except audit.Fault as fault:
            return _wrong(str(fault), _of(store.namespace.name, stores))
        except UnicodeDecodeError:
            return _wrong(FOREIGN_BYTES, _of(store.namespace.name, stores))
    return _held(trails, head)


FOREIGN_BYTES = "An entry or a record was changed: it holds bytes that Keyturn does not write."


async def _verified(store: Store) -> Entries:
    before = audit.verified(await _lines(store))
    audit.check_trail(before, store.namespace.name)
    records = await store.versions(audit.last_versions(before))
    after = audit.verified(await _lines(store))  # a bot may be at work
    audit.check_records(records, before, after)
    return after


def verify_text(text: str, head: str | None) -> bool:
    """Verify that each trail of an export is complete, and that one contains *head*."""
    try:
        lines = text.removesuffix("\n").split("\n") if text else []
        trails = [audit.verified(part) for part in audit.split_trails(lines)]
        audit.check_distinct(trails)
    except audit.Fault as fault:
        return _wrong(str(fault))
    return _held(trails or [[]], head)


async def _lines(store: Store) -> list[str]:
    return [line async for line in store.trail()]


def _held(trails: Sequence[Entries], head: str | None) -> bool:
    """Report success, unless no trail contains *head*."""
    try:
        holder = audit.holder_of(head, trails) if head is not None else None
    except audit.Fault as fault:
        return _wrong(str(fault))
    for entries in trails:
        named = f"`{head}` is entry {audit.check_head(str(head), entries)}." if entries is holder else ""
        about = f"audit trail{_of(audit.trail_of(entries), trails)}"
        if not entries:
            tell(Level.WARN, "there is nothing to verify: it has no entry.", about)
            continue
        last = entries[-1]["hash"][: audit.SHORT]
        whole = f"{len(entries)} entries, each chained to the one before, and the last is `{last}`."
        tell(Level.OK, " ".join(filter(None, (whole, audit.binding(entries), named))), about)
    return True


def _of(name: str, all_of_them: Sequence[object]) -> str:
    """Name a trail if there are several."""
    return f" of {Namespace(name=name).queue}" if len(all_of_them) > 1 else ""


def _wrong(sentence: str, of: str = "") -> bool:
    tell(Level.WRONG, sentence, f"audit trail{of}")
    return False
