"""Anthropic: the API keys of one organization, or of one workspace. Only its console makes keys."""

from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import SecretStr

from bot.providers.account import UNCHANGED, Account
from bot.providers.client import Call
from bot.providers.reports import Bucket, reported
from bot.providers.shapes import Id, Name, Told, When, hint
from bot.rotation.credentials import Ability, Row, Status, Usage
from bot.rotation.errors import ApiError, Uncertain

VERSION = "2023-06-01"
STATUS = {
    "active": Status.ACTIVE,
    "inactive": Status.DISABLED,
    "archived": Status.GONE,
    "expired": Status.GONE,
}
FULL = "Anthropic can't enable it again (400): its limit of active keys is reached. Disable or archive another first."
STRANGE = (
    "Anthropic keeps archived keys in its list, and knows none of that id (404): `admin_key` of {name} in PROVIDERS "
    "may be of another organization."
)


class Scope(Told):
    """Where a key is valid."""

    workspace_id: str | None = None


class Key(Told):
    """A key as the list shows it; it never says when it was used."""

    id: Id
    name: Name = ""
    status: Literal["active", "inactive", "archived", "expired"]
    created_at: When = None
    expires_at: When = None
    partial_key_hint: str | None = None
    scope: Scope | None = None

    @property
    def row(self) -> Row:
        """Return it as a row."""
        workspace = self.scope.workspace_id if self.scope else None
        return Row(
            id=self.id,
            name=self.name,
            hint=hint(self.partial_key_hint),
            status=STATUS[self.status],
            created_at=self.created_at,
            expires_at=self.expires_at,
            owner=f"workspace {workspace}" if workspace else "organization",
        )


class Keys(Told):
    """A page of the list."""

    data: list[Key]
    has_more: bool


class Used(Told):
    """What the report says of one key in one bucket: tokens, of every kind."""

    api_key_id: str | None = None
    uncached_input_tokens: int = 0
    cache_read_input_tokens: int = 0
    output_tokens: int = 0
    cache_creation: dict[str, Any] | None = None

    @property
    def is_any(self) -> bool:
        """Return whether it is more than nothing."""
        created = any((self.cache_creation or {}).values())
        return created or bool(self.uncached_input_tokens or self.cache_read_input_tokens or self.output_tokens)


class UsedThen(Told):
    """One bucket of the report."""

    starting_at: datetime
    ending_at: datetime
    results: list[Used]


class Report(Told):
    """A page of the report."""

    data: list[UsedThen]
    has_more: bool = False


class Models(Told):
    """The list of models, of which nothing is read."""

    data: list[Any]


def _headers(key: SecretStr) -> dict[str, str]:
    return {"x-api-key": key.get_secret_value(), "anthropic-version": VERSION}


class Anthropic(Account):
    """One organization at Anthropic."""

    kind, title = "anthropic", "Anthropic"
    console = "https://platform.claude.com/settings/keys"
    address = "https://api.anthropic.com/v1"
    abilities = frozenset({Ability.LIST, Ability.LAST_USED, Ability.DISABLE, Ability.DELETE})
    usage_lag = timedelta(minutes=5)
    """Its documentation says "typically within 5 minutes"."""

    headers = staticmethod(_headers)

    def _path(self, *parts: str) -> str:
        return self._api.path("organizations", "api_keys", *parts)

    async def rows(self) -> tuple[Row, ...]:
        """List every key, archived ones too."""

        async def page(found: list[Key]) -> tuple[list[Key], bool]:
            where = {"workspace_id": self._settings.workspace} if self._settings.workspace else {}
            query = {"limit": 1000, **where} | ({"after_id": found[-1].id} if found else {})
            shown = await self._ask(Call("GET", self._path(), query), Keys)
            return shown.data, shown.has_more

        return tuple(key.row for key in await self._paged(page))

    async def _row(self, row_id: str) -> Row:
        return (await self._ask(Call("GET", self._path(row_id)), Key)).row

    async def _surely_gone(self, row_id: str) -> None:
        """Raise: a key that is gone is still there, as archived."""
        await super()._surely_gone(row_id)
        raise ApiError(self._api.said(STRANGE), 404)

    async def disable(self, row_id: str) -> None:
        """Set a key inactive; it is refused until it is active again."""
        await self._set(row_id, "inactive")

    async def enable(self, row_id: str) -> None:
        """Set a key active again; the organization or workspace may have too many active ones by then."""
        await self._set(row_id, "active")

    async def _end(self, row_id: str) -> None:
        """Archive a key, which nothing undoes; one that has expired needs no more."""
        if (await self._row(row_id)).status is not Status.GONE:
            await self._set(row_id, "archived")

    async def _set(self, row_id: str, status: str) -> None:
        words = {"api_key_limit_exceeded": FULL}
        found = await self._ask(Call("POST", self._path(row_id), body={"status": status}, words=words), Key)
        if found.id != row_id or found.status != status:
            raise Uncertain(self._api.said(UNCHANGED))

    async def usage(self, row: Row, since: datetime) -> Usage:
        """Return what the report of tokens says: calls that were all refused don't show there."""

        async def page(begin: datetime, width: str, many: int) -> tuple[list[Bucket], bool]:
            only = {"group_by[]": "api_key_id", "api_key_ids[]": row.id}
            at = begin.replace(microsecond=0).isoformat().replace("+00:00", "Z")
            query = {"starting_at": at, "bucket_width": width, "limit": many, **only}
            path = self._api.path("organizations", "usage_report", "messages")
            told = await self._ask(Call("GET", path, query), Report)
            return [_bucket(each, row.id) for each in told.data], told.has_more

        return await reported(page, since, self._now())

    async def _greet(self, secret: SecretStr) -> None:
        await self._api.ask(Call("GET", self._api.path("models")), secret, Models)


def _bucket(told: UsedThen, row_id: str) -> Bucket:
    return Bucket(told.starting_at, told.ending_at, any(one.is_any for one in told.results if one.api_key_id == row_id))
