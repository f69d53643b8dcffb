"""`keyturn status`, `show` and `resume`, on the stores of every bot that has records here."""

from collections.abc import Sequence
from typing import NamedTuple

from bot.commands import listing, shown
from bot.commands.listing import SIZE
from bot.rotation.errors import Refused
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from bot.service.resuming import resumed
from bot.service.verbs import loaded
from bot.storage.lists import Page
from bot.storage.records import Store
from bot.terminal import say, say_json


class Asked(NamedTuple):
    """The options that `status`, `show` and `resume` share."""

    rotation: str = ""
    as_json: bool = False
    by: str = ""


async def status(stores: Sequence[Store], number: int, *, as_json: bool) -> None:
    """Print a page of what is under way, for each bot that has records here."""
    pages = [
        (store.namespace.queue, await store.page_under_way(number, SIZE), await store.revocations_due(SIZE))
        for store in stores
    ]
    if as_json:
        say_json({"namespaces": [_as_json(*each) for each in pages]})
        return
    for name, page, owed in pages:
        of = f" in {name}" if len(pages) > 1 else ""
        say(f"{plural(page.total, 'rotation')} under way{of}." if page.total else f"Nothing is under way{of}.")
        for line in (*listing.lines(page, "python -m bot status"), *map(shown.task, owed)):
            say(line)


def _as_json(name: str, page: Page, owed: Sequence[Rotation]) -> dict[str, object]:
    return {**listing.as_json(name, page, shown.summary), "to_revoke": list(map(shown.summary, owed))}


async def show(stores: Sequence[Store], asked: Asked) -> None:
    """Print one rotation, under way or over."""
    store = await _holder(stores, asked.rotation)
    rotation = await loaded(store, asked.rotation)
    if asked.as_json:
        say_json({"namespace": store.namespace.queue, **shown.details(rotation)})
        return
    for line in shown.page(rotation):
        say(line)


async def resume(stores: Sequence[Store], asked: Asked) -> None:
    """Do what **Try again** does, and say what comes next."""
    store = await _holder(stores, asked.rotation)
    rotation = await resumed(store, asked.rotation, operator=asked.by, at=await store.time())
    if asked.as_json:
        say_json({"namespace": store.namespace.queue, "by": asked.by, **shown.summary(rotation)})
        return
    say(f"done   {rotation.id} is {shown.state(rotation)}. A worker goes on with it; its card shows how it gets on.")
    say(f"       The audit trail says that {asked.by} did this at the command line.")


async def _holder(stores: Sequence[Store], rotation_id: str) -> Store:
    """Return the store that has the record of a rotation, and not only where it was carried over from, or refuse."""
    holders = [store for store in stores if await store.is_recorded(rotation_id)]
    if not holders:
        raise Refused(f"There is no rotation {rotation_id}: `python -m bot status` lists those under way.")
    onward = [store for store in holders if not await _was_carried(store, rotation_id)]
    return (onward or holders)[0]


async def _was_carried(store: Store, rotation_id: str) -> bool:
    return any([bool(rotation.carried_to) async for rotation, _ in store.stored([rotation_id])])
