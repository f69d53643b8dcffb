"""Check where secrets can be read by reference: each identity once, harmlessly, and what is allowed."""

from collections.abc import Iterator, Mapping
from functools import partial

from bot.app import utc_now
from bot.check.findings import Try, ok, warn, wrong
from bot.rotation.errors import ApiError
from bot.rotation.references import Allowance, Kind
from bot.settings import Settings
from bot.sources import Store, stores_of
from bot.terminal import Finding


def tries(settings: Settings) -> list[Try]:
    """Return what can be tried: nothing without `SECRET_SOURCES`."""
    written = settings.secret_sources
    if written is None:
        return []
    stores = dict(stores_of(written, utc_now))
    return [Try("secret sources", "SECRET_SOURCES", partial(sources, stores, written.allowances))]


async def sources(stores: Mapping[Kind, Store], allowances: tuple[Allowance, ...]) -> list[Finding]:
    """Use each identity, and say what may be read for which keys."""
    found = [await _tried(kind, store) for kind, store in stores.items()]
    return [*found, *(map(_allowed, allowances) if allowances else _nothing())]


async def _tried(kind: Kind, store: Store) -> Finding:
    try:
        return ok(f"{kind}: {await store.tried()}.")
    except ApiError as trouble:
        return wrong(f"SECRET_SOURCES, {kind}: {trouble}")


def _nothing() -> Iterator[Finding]:
    yield warn("no reference is taken: SECRET_SOURCES has nothing under allow.")


def _allowed(one: Allowance) -> Finding:
    keys = f"keys called {', '.join(one.keys)}" if one.keys else "keys"
    whose = f" of {', '.join(one.providers)}" if one.providers else ""
    return ok(f"{', '.join(map(str, one.prefixes))} may be read for {keys}{whose}.")
