"""The part of AISIX Cloud's Admin API that a rotation needs. Only this module calls the control plane."""

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import quote

import httpx
import stamina
from pydantic import SecretStr

from bot.aisix import reading
from bot.aisix.client import ANSWER_MOST, PARTS, ClientPool, TooLong, read
from bot.aisix.holdings import Held, listed, missing, part_of
from bot.aisix.paging import Answer, NotAList, ShortList, complains, whole_list
from bot.aisix.reading import Json
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.aisix.waiting import ahead, retry_after, wait_for, wait_if_it_never_arrived
from bot.credentials import ADMIN_TOKEN, Credentials
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.rotation.inventory import BUDGETS, POLICIES, ROUTES, Environment, Inventory, Model, ProviderKey
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.rotation.wildcards import is_wildcard
from bot.telemetry.metrics import calls

BETWEEN_LISTS = 0.5
"""Seconds between two reads of a list that must agree."""

MALFORMED = frozenset({400, 422})
NOT_OFFERED = frozenset({404, 405, 501})
NO_SUCH_PAGE = frozenset({400, 404, 416, 422})
"""Statuses for a page after the last one, or for a paging parameter that the list does not support."""

EVERYBODY_HAS = ("/environments", "/provider_keys")

REFUSALS = {
    400: "AISIX refused the request as malformed (400).",
    401: "AISIX does not accept the admin token (401): check AISIX_ADMIN_TOKEN.",
    403: "AISIX says that the admin token may not do this (403): it needs the read and the write scope.",
    409: "AISIX says that this conflicts with something there (409).",
    413: "AISIX says that this is too large (413).",
    422: "AISIX refused the request as malformed (422).",
}


class ControlPlane:
    """One tenant's control plane. Methods raise `ApiError`, or `Uncertain` when the effect of a call is unknown."""

    def __init__(  # noqa: PLR0913 - its settings, given once in wiring
        self,
        base_url: str,
        token: SecretStr,
        *,
        timeout: float,
        concurrency: int,
        attempts: int,
        grace: float,
        most: int = ANSWER_MOST,
        credentials: Credentials | None = None,
    ) -> None:
        self._credentials = credentials or Credentials()
        self._base = base_url.rstrip("/")
        self._pool = ClientPool(
            concurrency,
            self._base,
            headers={"Authorization": f"Bearer {token.get_secret_value()}", "Accept": "application/json"},
            timeout=timeout,
        )
        self._attempts = attempts
        self._creates_for = grace - PARTS * timeout
        self._most = most
        self._habits: dict[str, set[str]] = {}
        """By path, what was noted of how the list pages."""

        self.ahead: float | None = None
        """Seconds by which AISIX's clock is ahead of this machine's, by its last answer."""

        self._known: tuple[Environment, ...] = ()
        """The last inventory's environments; the next inventory reads their lists beside the list of environments."""

    def use(self, token: SecretStr) -> None:
        """Send another admin token from now on."""
        self._pool.send(Authorization=f"Bearer {token.get_secret_value()}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()

    async def inventory(self) -> Inventory:
        """Read everything that can refer to a provider key, in every environment of the tenant."""
        environments, keys, budgets, held = await asyncio.gather(
            self._list("/environments"),
            self._list("/provider_keys"),
            self._optional("/budgets", BUDGETS),
            self._held(self._known),
        )
        self._known = all_ = tuple(reading.environment(row) for row in environments)
        held |= await self._held(environment for environment in all_ if environment.id not in held)
        found = [key for row in keys if (key := reading.provider_key(row)).id]  # a key without an id cannot be rotated
        names = reading.KeyNames(found)
        parts = [part_of(environment.id, listed(held[environment.id]), names) for environment in all_]
        return Inventory(
            environments=all_,
            keys=tuple(found),
            models=tuple(model for part in parts for model in part.models),
            routes=tuple(route for part in parts for route in part.routes),
            has_routes=any(ROUTES not in {one.kind for one in part.unlisted} for part in parts),
            unlisted=(*(one for part in parts for one in part.unlisted), *missing(BUDGETS, budgets)),
            budgeted_keys=tuple(filter(None, map(names.resolved, reading.budgeted_keys(budgets or ())))),
            made_at=reading.made_at(keys),
        )

    async def _held(self, environments: Iterable[Environment]) -> dict[str, Held | BaseException]:
        """List what each environment holds, by id; keep an error as its value, because the environment may be gone."""
        some = list(environments)
        found = await asyncio.gather(*map(self._environment, some), return_exceptions=True)
        return {environment.id: held for environment, held in zip(some, found, strict=True)}

    async def _environment(self, environment: Environment) -> Held:
        env, where = environment.id, f" of `{environment.name}`"
        return Held(
            *await asyncio.gather(
                self._list(address("environments", env, "models")),
                self._optional(address("environments", env, "cache_policies"), f"{POLICIES}{where}"),
                self._optional(address("environments", env, "passthrough_routes"), f"{ROUTES}{where}"),
            )
        )

    async def models(self, environments: Iterable[str]) -> tuple[Model, ...]:
        """List only the models of *environments*, not the other things that can refer to a key."""
        ids = list(dict.fromkeys(environments))
        found = await asyncio.gather(*(self._list(address("environments", id_, "models")) for id_ in ids))
        return tuple(reading.model(row, id_) for id_, rows in zip(ids, found, strict=True) for row in rows)

    async def keys(self) -> tuple[ProviderKey, ...]:
        """List the provider keys."""
        return tuple(key for row in await self._list("/provider_keys") if (key := reading.provider_key(row)).id)

    async def key_dates(self) -> dict[str, datetime | None]:
        """Return when each provider key was created, by id; None if AISIX does not say so readably."""
        rows = await self._list("/provider_keys")
        ids = (reading.identity(row) for row in rows)
        return {**dict.fromkeys(filter(None, ids)), **reading.made_at(rows)}

    async def create_key(
        self, old: ProviderKey, name: str, environments: Iterable[str], secret: SecretStr
    ) -> str | None:
        """Create the replacement of *old* and return its id, or None when the answer lacks it.

        It is not retried after it may have arrived: that could create a second key. After `Uncertain`, read `keys`.
        If AISIX refuses the settings, they are sent once more without those that the API may not know; the later
        comparison of both keys reports the difference.
        """
        body = reading.clone(old, name=name, environments=environments)
        try:
            return await self._create(body, secret)
        except ApiError as error:
            known = {k: v for k, v in body.items() if k in reading.CLONED or k not in old.settings}
            known["allowed_environments"] = sorted(environments)  # the old key may name a deleted one
            if error.status not in MALFORMED or known == body:
                raise
        return await self._create(known, secret)

    async def _create(self, body: Json, secret: SecretStr) -> str | None:
        answer = await self._creating("/provider_keys", {**body, "api_key": secret.get_secret_value()})
        return reading.identity(reading.single(answer.body))

    async def _creating(self, path: str, body: Json) -> Answer:
        """Send a creation; retry only if it certainly had no effect, and finish within the grace period.

        After that period Keyturn assumes that it did not happen, and someone may ask for another.
        """
        clock = asyncio.get_running_loop().time
        end = clock() + self._creates_for

        def in_time(error: Exception) -> bool | float:
            wait = wait_if_it_never_arrived(error)
            return wait if clock() + wait < end else False  # True means about a second

        async for attempt in stamina.retry_context(on=in_time, attempts=self._attempts, timeout=None):
            with attempt:
                return await self._once("POST", path, body)
        raise AssertionError("stamina always returns or raises")

    async def allow_key(self, key: ProviderKey, environments: Iterable[str]) -> None:
        """Allow *key* in *environments* as well."""
        allowed = sorted({*key.allowed_environments, *environments})
        await self._again("PATCH", address("provider_keys", key.id), {"allowed_environments": allowed})

    async def point(self, model: str, environment: str, key_id: str) -> None:
        """Point a model at a provider key; doing it twice is harmless."""
        path = address("environments", environment, "models", model)
        await self._again("PATCH", path, {"provider_key_id": key_id})

    async def create_model(self, like: Model, name: str, key_id: str, upstream: str) -> bool:
        """Create a model called *name* for *upstream*, on a key, with every other setting of the model *like*.

        Return False if it already exists, which happens when the list is out of date.
        """
        try:
            await self._create_model(like, name, key_id, upstream)
        except ApiError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
            return False
        return True

    async def _create_model(self, like: Model, name: str, key_id: str, upstream: str) -> None:
        path = address("environments", like.environment, "models")
        reaches = {"model_name": upstream} if is_wildcard(like.alias) else {}
        body = {**like.settings, **reaches, "display_name": name, "provider_key_id": key_id}
        try:
            await self._creating(path, body)
        except ApiError as error:
            if error.status not in MALFORMED:
                raise
            known = {k: v for k, v in body.items() if k not in like.settings or k in reading.ESSENTIAL}
            await self._creating(path, known)

    async def delete_model(self, model: str, environment: str) -> None:
        """Delete a model."""
        with suppress(NotFound):
            await self._again("DELETE", address("environments", environment, "models", model))

    async def delete_key(self, key_id: str, within: float | None = None) -> bool:
        """Delete a provider key for good; it is never retried here, so that the caller checks again before a retry.

        Give up after *within* seconds, and send nothing if no time is left. Return False if there is no such key:
        an earlier try may have succeeded and its answer been lost.
        """
        if within is not None and within <= 0:
            raise Uncertain("AISIX was not asked: too much time had passed.", arrived=False)
        try:
            async with asyncio.timeout(within):
                answer = await self._once("DELETE", address("provider_keys", key_id))
        except NotFound:
            return False
        except TimeoutError:
            raise Uncertain("AISIX is not answering (time-out).") from None
        if isinstance(answer.body, dict) and complains(answer.body):
            raise Uncertain("AISIX answered a delete with a failure.")
        return True

    async def is_gone(self, key_id: str, beside: str | None) -> bool:
        """Tell whether a provider key that is missing in a list is gone: one list may be stale or incomplete.

        The key must not be found by its id, and a second list must lack it. If this control plane cannot find keys
        by id, not even the existing key *beside*, two more lists must lack it.
        """
        if await self._is_found(key_id):
            return False
        by_id = beside is not None and await self._is_found(beside)
        for _ in range(1 if by_id else 2):
            await asyncio.sleep(BETWEEN_LISTS)
            listed = {key.id for key in await self.keys()}
            if key_id in listed or (by_id and beside not in listed):
                return False
        return True

    async def _is_found(self, key_id: str) -> bool:
        """Tell whether a provider key is found by its id; False if this control plane does not offer that."""
        try:
            await self._again("GET", address("provider_keys", key_id))
        except Uncertain:
            raise
        except ApiError:
            return False
        return True

    async def _list(self, path: str) -> list[Json]:
        """Read every page of a list: a reference on an unread page would let a key in use be deleted."""
        habits = self._habits.setdefault(path, set())
        try:
            return await whole_list(lambda query: self._page(path, query), habits)
        except NotAList:
            raise Uncertain(f"AISIX answered {_named(path)} with something that is no list.") from None
        except ShortList:
            raise Uncertain(f"AISIX does not let Keyturn read {_named(path)} to its end.") from None

    async def _page(self, path: str, query: Json) -> Answer | None:
        """Read one page; return None if AISIX refuses a page after the first."""
        try:
            return await self._again("GET", path, query=query)
        except ApiError as error:
            if not query or error.status not in NO_SUCH_PAGE:
                raise
            return None

    async def _optional(self, path: str, what: str) -> list[Json] | None:
        """Read a list, or return None if the tenant has none; raise if it cannot be read: it may hide a reference."""
        try:
            return await self._list(path)
        except (NotFound, Unsupported):
            return None
        except ApiError as error:
            error.args = (f"AISIX does not show the {what}. {error}",)
            raise

    async def _again(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> Answer:
        """Send a call that is safe to repeat, with retries; honour `Retry-After`."""
        async for attempt in stamina.retry_context(on=wait_for, attempts=self._attempts, timeout=None):
            with attempt:
                return await self._once(method, path, body, query)
        raise AssertionError("stamina always returns or raises")

    async def _once(self, method: str, path: str, body: Json | None = None, query: Json | None = None) -> Answer:
        """Send once; never put the body of an answer into an error, because it could repeat a secret."""
        async with self._pool.client() as http:
            response = await self._exchange(http, method, path, body, query)
        calls("control_plane", method, response.status_code)
        self.ahead = ahead(response.headers.get("Date"))
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._credentials.refused(ADMIN_TOKEN, str(response.status_code))
        elif response.is_success:
            self._credentials.works(ADMIN_TOKEN)
        elif response.status_code == httpx.codes.FORBIDDEN and method == "GET" and await self._may_read_nothing():
            self._credentials.refused(ADMIN_TOKEN, str(response.status_code))
        return Answer(_decipher(response, method, path), response.headers)

    async def _may_read_nothing(self) -> bool:
        """Tell whether the admin token is refused, and not one list: ask for the two that every organization has."""
        async with self._pool.client() as http:
            with suppress(Uncertain):
                both = [await self._exchange(http, "GET", path, None, None) for path in EVERYBODY_HAS]
                return all(each.status_code == httpx.codes.FORBIDDEN for each in both)
        return False

    async def _exchange(
        self, http: httpx.AsyncClient, method: str, path: str, body: Json | None, query: Json | None
    ) -> httpx.Response:
        try:
            return await read(http, method, self._base + path, self._most, json=body, params=query or None)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            calls("control_plane", method, "unreachable")
            why = UNTRUSTED if is_untrusted(error) else "no connection"
            raise Uncertain(f"AISIX is not answering ({why}).", arrived=False) from None
        except httpx.TimeoutException:
            calls("control_plane", method, "time-out")
            raise Uncertain("AISIX is not answering (time-out).") from None
        except TooLong:
            calls("control_plane", method, "too long")
            raise Uncertain(f"AISIX answers with more than {self._most:,} bytes (ANSWER_LIMIT).") from None
        except httpx.InvalidURL:
            raise ApiError("AISIX uses an id that no address can carry.") from None
        except (httpx.TransportError, httpx.DecodingError):
            calls("control_plane", method, "broken")
            raise Uncertain("AISIX broke off its answer.") from None


def address(*parts: str) -> str:
    """Return a path; escape the ids in it, so that none leads to another path."""
    if {"", ".", ".."} & set(parts):
        raise ApiError("AISIX uses an id that no address can carry.")
    return "".join(f"/{quote(part, safe='')}" for part in parts)


def _named(path: str, most: int = 120) -> str:
    """Shorten a path for a sentence."""
    return path if len(path) <= most else f"{path[: most - 1]}…"


def _decipher(response: httpx.Response, method: str, path: str) -> Any:
    """Return the content of a response, or raise the error that tells the caller how to react."""
    status = response.status_code
    if response.is_success:
        return _content(response, method, path)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        raise Uncertain(
            "AISIX limits the rate (429).",
            status,
            retry_after(response.headers.get("Retry-After")),
            arrived=False,
        )
    if status in NOT_OFFERED:
        raise (NotFound if status == httpx.codes.NOT_FOUND else Unsupported)(f"AISIX has no {_named(path)}.", status)
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.REQUEST_TIMEOUT:
        raise Uncertain(f"AISIX had an error ({status}).", status, retry_after(response.headers.get("Retry-After")))
    raise ApiError(REFUSALS.get(status, f"AISIX refused the request ({status})."), status)


def _content(response: httpx.Response, method: str, path: str) -> Any:
    try:
        return decoded(response.content) if response.content.strip() else {}
    except UnreadableJson:
        if method == "GET":
            raise Uncertain(f"AISIX answered {_named(path)} with something that is not JSON.") from None
        return {}  # the status says success, and the effect is read back anyway
