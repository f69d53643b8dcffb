"""Reads Vault and OpenBao: KV version 2, and single-use wrapping tokens.

Paths and answers were tried on OpenBao 2.7.2; `make stores-test` tries them again.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
from pydantic import SecretStr

from bot.aisix.client import http_client
from bot.rotation.errors import ApiError
from bot.rotation.references import Reference, Sourced
from bot.settings.sources import CLUSTERS_TOKEN, VaultStore
from bot.sources.calls import Calls

OK, FORBIDDEN, MISSING = 200, 403, 404
RENEWED_BEFORE = timedelta(seconds=30)

USED = (
    "Vault does not know this wrapping token any more. If you have not used it yourself, somebody else may have read "
    "the secret with it: treat it as exposed, revoke it at the provider, and make a new one."
)
REFUSED = "Vault does not let the bot read this: its policy has to allow read there."
NOTHING = "Vault has nothing there: look at mount and path. The mount is the first name, and of KV version 2."
DELETED = "That version is deleted in Vault: name another one, or store the secret again."
UNWRAPPED = " The wrapping token is used up: wrap the secret again."


class Ticket(NamedTuple):
    """The token that a sign-in gave."""

    token: SecretStr
    ends_at: datetime | None


class Vault:
    """One Vault, and who the bot is there. Raises `ApiError`, or `Uncertain` if Vault does not answer."""

    def __init__(
        self,
        store: VaultStore,
        now: Callable[[], datetime],
        *,
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self._store = store
        self._there = f"{store.url.rstrip('/')}/v1"
        self._now = now
        self._calls = Calls("Vault", client)
        self._kept: Ticket | None = None

    async def read(self, reference: Reference) -> Sourced:
        """Read a field of a version: the newest, if none is named."""
        if reference.token:
            return await self._unwrapped(reference, reference.token)
        mount, *path = (quote(each, safe="") for each in reference.path)
        there = f"{mount}/data/{'/'.join(path)}" + (f"?version={reference.version}" if reference.version else "")
        answer = await self._asked("GET", there)
        told = self._calls.told(answer) if answer.status_code in (OK, MISSING) else {}
        data = _within(told, "data")
        if answer.status_code == FORBIDDEN:
            raise ApiError(REFUSED, FORBIDDEN)
        if answer.status_code == MISSING:
            raise ApiError(DELETED if _within(data, "metadata") else NOTHING, MISSING)
        if answer.status_code != OK:
            raise ApiError(f"Vault refuses to read this ({answer.status_code}).", answer.status_code)
        return _chosen(data, reference)

    async def tried(self) -> str:
        """Sign in, and return as what."""
        answer = await self._asked("GET", "auth/token/lookup-self")
        if answer.status_code != OK:
            raise ApiError(f"Vault does not take the bot's own token ({answer.status_code}).", answer.status_code)
        name = _within(self._calls.told(answer), "data").get("display_name")
        return f"it knows the bot as {name}" if isinstance(name, str) and name.isprintable() else "it knows the bot"

    async def _asked(self, method: str, there: str) -> httpx.Response:
        """Ask as the bot; sign in again if the token is refused, as it may have been revoked."""
        answer = await self._sent(method, there, await self._token())
        if answer.status_code == FORBIDDEN and self._kept:
            self._kept = None
            answer = await self._sent(method, there, await self._token())
        return answer

    async def _sent(self, method: str, there: str, token: SecretStr | None, **body: Any) -> httpx.Response:
        headers = {"X-Vault-Request": "true"}
        if token:
            headers["X-Vault-Token"] = token.get_secret_value()
        if self._store.namespace:
            headers["X-Vault-Namespace"] = self._store.namespace
        return await self._calls.ask(method, f"{self._there}/{there}", headers=headers, **body)

    async def _token(self) -> SecretStr:
        store = self._store
        if store.token_file and not store.kubernetes_role:
            return SecretStr(_written(store.token_file))
        kept = self._kept
        if kept is None or (kept.ends_at and kept.ends_at - RENEWED_BEFORE <= self._now()):
            kept = self._kept = await self._signed_in()
        return kept.token

    async def _signed_in(self) -> Ticket:
        store = self._store
        if store.kubernetes_role:
            way, body = (
                "kubernetes",
                {"role": store.kubernetes_role, "jwt": _written(store.token_file or CLUSTERS_TOKEN)},
            )
        else:
            secret = store.secret_id.get_secret_value() if store.secret_id else _written(store.secret_id_file)
            way, body = "approle", {"role_id": store.role_id, "secret_id": secret}
        answer = await self._sent("POST", f"auth/{store.login or way}/login", None, json=body)
        auth = _within(self._calls.told(answer), "auth") if answer.status_code == OK else {}
        token, seconds = auth.get("client_token"), auth.get("lease_duration")
        if not isinstance(token, str) or not token:
            raise ApiError(f"Vault does not let the bot sign in ({answer.status_code}).", answer.status_code)
        ends_at = self._now() + timedelta(seconds=seconds) if isinstance(seconds, int) and seconds > 0 else None
        return Ticket(SecretStr(token), ends_at)

    async def _unwrapped(self, reference: Reference, token: SecretStr) -> Sourced:
        """Read what a wrapping token holds, once; nobody can read it again."""
        answer = await self._sent("POST", "sys/wrapping/unwrap", token)
        if answer.status_code != OK:
            raise ApiError(USED, answer.status_code)
        data = _within(self._calls.told(answer), "data")
        try:
            return _chosen(data if _within(data, "metadata") else {"data": data}, reference)
        except ApiError as error:
            raise ApiError(f"{error}{UNWRAPPED}") from None


def _chosen(data: Mapping[str, Any], reference: Reference) -> Sourced:
    value, about = _within(data, "data").get(reference.field), _within(data, "metadata")
    if value is None:
        raise ApiError("Vault has no field of that name there.")
    if not isinstance(value, str):
        raise ApiError("That field is no text in Vault.")
    created = None
    with suppress(ValueError):
        created = datetime.fromisoformat(str(about.get("created_time")))
    version = about.get("version")
    return Sourced(SecretStr(value), str(reference), str(version) if isinstance(version, int) else "", created)


def _within(told: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


UNREADABLE = "The file that the bot signs in to Vault with (secret_id_file or token_file) can't be read."


def _written(file: Path | None) -> str:
    try:
        return file.read_text(encoding="ascii").strip() if file else ""
    except (OSError, UnicodeDecodeError):
        raise ApiError(UNREADABLE) from None
