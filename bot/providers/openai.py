"""OpenAI: the keys of one project, and of its service accounts.

A key is made with a service account of its own, which is found by the name. Nothing there disables a key so that it can
be enabled again: narrower scopes can't be undone, as the answer never shows the old ones.
"""

from contextlib import suppress
from datetime import datetime
from http import HTTPStatus
from typing import Literal

from pydantic import SecretStr

from bot.providers.account import UNCHANGED, Account, seen
from bot.providers.client import Call
from bot.providers.reports import Bucket, reported
from bot.providers.shapes import Id, Name, Secret, Told, When, hint
from bot.rotation.credentials import Ability, Minted, Row, Status, Usage
from bot.rotation.errors import ApiError, NotFound, Uncertain

OURS = "keyturn-"
"""How the name of a service account begins that Keyturn has made."""

REPORTS = ("completions", "embeddings")
NO_PROJECT = (
    "OpenAI has no project {project} for this admin key (404): correct `project` or `admin_key` of {name} in PROVIDERS."
)
KEYLESS = "OpenAI made a service account without a key, so Keyturn has deleted it."
NOT_MADE = "OpenAI refused to make a key (400): its name may be taken, or a policy there may ask for an expiry date."
NOT_ALONE = (
    "OpenAI deletes no single key of a service account here (400), and {} has other keys: delete this one in OpenAI's "
    "console."
)


class ServiceAccount(Told):
    """The owner of a key that is no person."""

    id: Id
    name: Name = ""


class Person(Told):
    """The owner of a key who is a person."""

    name: Name = ""
    email: Name = ""


class Owner(Told):
    """Who has a key."""

    service_account: ServiceAccount | None = None
    user: Person | None = None


class Key(Told):
    """A key as the list shows it."""

    id: Id
    name: Name = ""
    created_at: When = None
    last_used_at: When = None
    expires_at: When = None
    redacted_value: str | None = None
    owner: Owner = Owner()

    def row(self, now: datetime) -> Row:
        """Return it as a row; one of a service account goes by that account's name, which Keyturn gives."""
        account, person = self.owner.service_account, self.owner.user
        if account:
            owner = f"service account {account.name or account.id}, {self.name}".rstrip(", ")
        else:
            owner = (person.email or person.name) if person else ""
        return Row(
            id=self.id,
            name=account.name if account else self.name,
            hint=hint(self.redacted_value),
            status=Status.GONE if self.expires_at and self.expires_at <= now else Status.ACTIVE,
            created_at=self.created_at,
            last_used_at=self.last_used_at,
            expires_at=self.expires_at,
            owner=owner,
        )


class Keys(Told):
    """A page of the list."""

    data: list[Key]
    has_more: bool


class NewKey(Told):
    """A key that was just made."""

    id: Id
    value: Secret
    created_at: When = None
    expires_at: When = None


class NewAccount(Told):
    """A service account that was just made."""

    id: Id
    api_key: NewKey | None


class Deleted(Told):
    """The answer to a delete."""

    deleted: bool


class Used(Told):
    """What a report says of one key in one bucket."""

    api_key_id: str | None = None
    num_model_requests: int = 0


class UsedThen(Told):
    """One bucket of a report."""

    start_time: datetime
    end_time: datetime
    results: list[Used]


class Report(Told):
    """A page of a report."""

    data: list[UsedThen]
    has_more: bool = False


class Models(Told):
    """The list of models, of which nothing is read."""

    object: Literal["list"]


class OpenAI(Account):
    """One project at OpenAI."""

    kind, title = "openai", "OpenAI"
    console = "https://platform.openai.com/api-keys"
    address = "https://api.openai.com/v1"
    abilities = frozenset({Ability.MINT, Ability.LIST, Ability.LAST_USED, Ability.DELETE})

    def _path(self, *parts: str) -> str:
        return self._api.path("organization", "projects", self._settings.project, *parts)

    async def mint(self, name: str, like: Row | None) -> Minted:
        """Make a service account of that name, with its key; nothing shows what the old one's scopes were."""
        call = Call("POST", self._path("service_accounts"), body={"name": name})
        try:
            made = await self._ask(call, NewAccount)
        except ApiError as error:
            if error.status == HTTPStatus.BAD_REQUEST:
                error.args = (NOT_MADE,)
            raise
        if made.api_key is None:
            await self._delete_account(made.id)
            raise ApiError(KEYLESS)
        key = made.api_key
        dates = {"created_at": key.created_at, "expires_at": key.expires_at}
        row = Row(id=key.id, name=name, owner=f"service account {name}", **dates)
        ends = ("expiry date",) if like and like.expires_at else ()
        return Minted(row, key.value, copied=("project",) if like else (), uncopied=("permissions", *ends))

    async def rows(self) -> tuple[Row, ...]:
        """List every key of the project, also those whose owner has left it: they may still be enabled."""
        return tuple(key.row(self._now()) for key in await self._keys())

    async def _keys(self) -> list[Key]:
        async def page(found: list[Key]) -> tuple[list[Key], bool]:
            query = {"limit": 100, "owner_project_access": "any"} | ({"after": found[-1].id} if found else {})
            try:
                shown = await self._ask(Call("GET", self._path("api_keys"), query), Keys)
            except NotFound as error:
                error.args = (self._api.said(NO_PROJECT, project=self._settings.project),)
                raise
            return shown.data, shown.has_more

        return await self._paged(page)

    async def _key(self, row_id: str) -> Key:
        return await self._ask(Call("GET", self._path("api_keys", row_id)), Key)

    async def _row(self, row_id: str) -> Row:
        return (await self._key(row_id)).row(self._now())

    async def _end(self, row_id: str) -> None:
        """Delete a key; where that is refused for a service account's only key, delete the account."""
        account = (await self._key(row_id)).owner.service_account
        try:
            await self._delete(self._path("api_keys", row_id))
        except ApiError as error:
            if error.status != HTTPStatus.BAD_REQUEST or account is None:
                raise
            await self._delete_owner(account, row_id)
        else:
            if account and account.name.startswith(OURS):
                with suppress(ApiError):  # it has no key any more, so nothing depends on it
                    await self._delete_owner(account, row_id)

    async def _delete_owner(self, account: ServiceAccount, row_id: str) -> None:
        """Delete a service account, unless it has another key than that one: they would end too."""
        owned = [key for key in await self._keys() if (own := key.owner.service_account) and own.id == account.id]
        if any(key.id != row_id for key in owned):
            raise ApiError(NOT_ALONE.format(account.name or account.id), HTTPStatus.BAD_REQUEST)
        await self._delete_account(account.id)

    async def _delete_account(self, account_id: str) -> None:
        with suppress(NotFound):
            await self._delete(self._path("service_accounts", account_id))

    async def _delete(self, path: str) -> None:
        if not (await self._ask(Call("DELETE", path), Deleted)).deleted:
            raise Uncertain(self._api.said(UNCHANGED))

    async def usage(self, row: Row, since: datetime) -> Usage:
        """Return the later of the last use and of the reports: either may be late, and the reports may be refused."""
        known = seen((await self.read(row.id)).last_used_at, since)
        for report in REPORTS:
            try:
                found = await self._reported(report, row.id, since)
            except ApiError:
                if not known.is_known:
                    raise
            else:
                last = max(filter(None, (known.last_at, found.last_at)), default=None)
                known = Usage(is_known=known.is_known or found.is_known, last_at=last)
        return known

    async def _reported(self, report: str, row_id: str, since: datetime) -> Usage:
        async def page(begin: datetime, width: str, many: int) -> tuple[list[Bucket], bool]:
            grouped = {"api_key_ids[]": row_id, "group_by[]": "api_key_id"}
            query = {"start_time": int(begin.timestamp()), "bucket_width": width, "limit": many, **grouped}
            told = await self._ask(Call("GET", self._api.path("organization", "usage", report), query), Report)
            return [_bucket(each, row_id) for each in told.data], told.has_more

        return await reported(page, since, self._now())

    async def _greet(self, secret: SecretStr) -> None:
        await self._api.ask(Call("GET", self._api.path("models")), secret, Models)


def _bucket(told: UsedThen, row_id: str) -> Bucket:
    used = any(one.num_model_requests for one in told.results if one.api_key_id == row_id)
    return Bucket(told.start_time, told.end_time, used)
