"""Holds on provider keys in Redis, by the key's id. Each change is one with its entry in the audit trail."""

from collections.abc import Mapping
from datetime import datetime

import structlog
from pydantic import ValidationError
from redis.asyncio import Redis

from bot.rotation import audit
from bot.rotation.holds import KeyHold, unreadable
from bot.storage.lists import Lists
from bot.storage.namespace import Namespace
from bot.storage.outage import answering
from bot.storage.scripts import END, LABEL, MOVED

log = structlog.get_logger("keyturn.store")


class Holds(Lists):
    """The holds of one bot. Every method raises `Unanswerable` when Redis is away: nobody then knows of no hold."""

    def __init__(self, redis: Redis, namespace: Namespace) -> None:
        super().__init__(redis, namespace)
        self._label = redis.register_script(LABEL)
        self._last = redis.register_script(END)

    async def hold_on(self, key_id: str, now: datetime) -> KeyHold | None:
        """Return the hold that counts for a key *now*; None if there is none, or if it is over."""
        async with answering():
            stored = await self._redis.hget(self.key("holds"), key_id)
        hold = _read(key_id, stored, now) if stored else None
        return hold if hold and hold.counts(now) else None

    async def holds(self, now: datetime) -> dict[str, KeyHold]:
        """Return every hold that counts *now*, by the id of its key."""
        async with answering():
            stored = await self._redis.hgetall(self.key("holds"))
        found = {str(key_id): _read(key_id, text, now) for key_id, text in stored.items()}
        return {key_id: hold for key_id, hold in found.items() if hold.counts(now)}

    async def set_hold(self, hold: KeyHold, event: Mapping[str, str]) -> None:
        """Put a key on *hold*, in place of an earlier hold."""
        await self._labelled(hold.key_id, hold.model_dump_json(), event, hold.at)

    async def lift_hold(self, key_id: str, event: Mapping[str, str], *, at: datetime) -> None:
        """Lift the hold on a key."""
        await self._labelled(key_id, "", event, at)

    async def _labelled(self, key_id: str, value: str, event: Mapping[str, str], at: datetime) -> None:
        entry = audit.entry(audit.Kind.HOLD, None, event, at.isoformat(), self.namespace.name) | {"key": key_id}
        names, answer = [self.key("audit"), self.key("holds")], MOVED
        while answer == MOVED:
            async with answering():
                last, _ = await self._last(keys=[names[0], self.key("rotation", "")])
                line = audit.chained(entry, audit.head_of(last or None))
                answer = str(await self._label(keys=names, args=[last or "", line, key_id, value]))


def _read(key_id: str, stored: str, now: datetime) -> KeyHold:
    try:
        return KeyHold.model_validate_json(stored)
    except ValidationError:
        log.warning("unreadable_hold", key=key_id)
        return unreadable(key_id, now)
