"""xAI: the API keys of one team, which a management key names by itself. Nothing there says when a key was used."""

from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any

from pydantic import AliasChoices, Field, SecretStr

from bot.providers.account import UNCHANGED, Account
from bot.providers.client import Api, Call
from bot.providers.shapes import Id, Name, Secret, Told, When, hint
from bot.rotation.credentials import Ability, Minted, Row, Status
from bot.rotation.errors import ApiError, NotFound, Uncertain

INFERENCE = "https://api.x.ai"
ALL = ["api-key:endpoint:*", "api-key:model:*"]
"""What a new key may use where no old one is known: without any, it may use nothing."""

NOT_LISTED = "xAI lists no key of that id."
BLOCKED = "xAI says that the key, or its team, is blocked or disabled."


class Key(Told):
    """A key as the list shows it; the documentation has `disabled` as a text, and two spellings of some names."""

    id: Id = Field(validation_alias=AliasChoices("apiKeyId", "api_key_id"))
    name: Name = ""
    redacted: str | None = Field(None, validation_alias=AliasChoices("redactedApiKey", "redacted_api_key"))
    disabled: bool = False
    created_at: When = Field(None, validation_alias=AliasChoices("createTime", "create_time"))
    expires_at: When = Field(None, validation_alias=AliasChoices("expireTime", "expire_time"))
    team: Name = Field("", validation_alias=AliasChoices("teamId", "team_id"))
    acls: list[str] = Field([], validation_alias=AliasChoices("aclStrings", "acl_strings", "acls"))
    qps: int | None = None
    qpm: int | None = None
    tpm: str | int | None = None

    def row(self, now: datetime) -> Row:
        """Return it as a row."""
        has_ended = self.expires_at is not None and self.expires_at <= now
        return Row(
            id=self.id,
            name=self.name,
            hint=hint(self.redacted),
            status=Status.GONE if has_ended else Status.DISABLED if self.disabled else Status.ACTIVE,
            created_at=self.created_at,
            expires_at=self.expires_at,
            owner=f"team {self.team}" if self.team else "",
        )

    @property
    def limits(self) -> dict[str, Any]:
        """Return what a new key needs to be limited as this one is."""
        return {name: value for name in WORDS if (value := getattr(self, name))}


WORDS: Mapping[str, str] = {
    "acls": "permissions",
    "qps": "requests a second",
    "qpm": "requests a minute",
    "tpm": "tokens a minute",
}
"""What is copied from the old key, and what people call it."""


class Keys(Told):
    """A page of the list."""

    keys: list[Key] = Field(validation_alias=AliasChoices("apiKeys", "api_keys"))
    next: str = Field("", validation_alias=AliasChoices("paginationToken", "pagination_token"))


class Made(Key):
    """A key that was just made."""

    secret: Secret = Field(validation_alias=AliasChoices("apiKey", "api_key"))


class Validation(Told):
    """What a management key is for."""

    team: Id = Field(validation_alias=AliasChoices("teamId", "team_id"))


class Anything(Told):
    """An answer of which nothing is read."""


class Itself(Told):
    """What a key may read of itself."""

    api_key_disabled: bool = False
    api_key_blocked: bool = False
    team_blocked: bool = False


class XAI(Account):
    """One team at xAI."""

    kind, title = "xai", "xAI"
    console = "https://console.x.ai"
    address = "https://management-api.x.ai"
    abilities = frozenset({Ability.MINT, Ability.LIST, Ability.DISABLE, Ability.DELETE})

    async def _team(self) -> str:
        """Return the path of the team's keys."""
        asked = Call("GET", self._api.path("auth", "management-keys", "validation"))
        return self._api.path("auth", "teams", (await self._ask(asked, Validation)).team, "api-keys")

    async def mint(self, name: str, like: Row | None) -> Minted:
        """Make a key with the permissions and limits of another."""
        limits = (await self._key(like.id)).limits if like else {}
        call = Call("POST", await self._team(), body={"acls": ALL, **limits, "name": name})
        made = await self._ask(call, Made)
        missing = (() if like else ("permissions", "limits")) + (("expiry date",) if like and like.expires_at else ())
        return Minted(made.row(self._now()), made.secret, tuple(WORDS[each] for each in limits), missing)

    async def rows(self) -> tuple[Row, ...]:
        """List every key of the team that the management key may see."""
        return tuple(key.row(self._now()) for key in await self._keys())

    async def _keys(self) -> list[Key]:
        there, after = await self._team(), ""

        async def page(_: list[Key]) -> tuple[list[Key], bool]:
            nonlocal after
            query = {"pageSize": 100} | ({"paginationToken": after} if after else {})
            shown = await self._ask(Call("GET", there, query), Keys)
            after = shown.next
            return shown.keys, bool(after)

        return await self._paged(page)

    async def _key(self, row_id: str) -> Key:
        """Return a key from the list: nothing documented reads one."""
        found = next((key for key in await self._keys() if key.id == row_id), None)
        if found is None:
            raise NotFound(NOT_LISTED, HTTPStatus.NOT_FOUND)
        return found

    async def _row(self, row_id: str) -> Row:
        return (await self._key(row_id)).row(self._now())

    async def disable(self, row_id: str) -> None:
        """Disable a key."""
        await self._set(row_id, disabled=True)

    async def enable(self, row_id: str) -> None:
        """Enable a key again."""
        await self._set(row_id, disabled=False)

    async def _set(self, row_id: str, *, disabled: bool) -> None:
        """Change a key, and look: the answer to a change is not documented."""
        body = {"apiKey": {"disabled": disabled}, "fieldMask": "disabled"}
        await self._ask(Call("PUT", self._api.path("auth", "api-keys", row_id), body=body), Anything)
        if (await self._key(row_id)).disabled is not disabled:
            raise Uncertain(self._api.said(UNCHANGED))

    async def _end(self, row_id: str) -> None:
        await self._ask(Call("DELETE", self._api.path("auth", "api-keys", row_id)), Anything)
        if any(key.id == row_id for key in await self._keys()):
            raise Uncertain(self._api.said(UNCHANGED))

    async def _greet(self, secret: SecretStr) -> None:
        """Ask the other API, of models, which is at another address."""
        api = Api(self.title, self.name, self._settings.url or INFERENCE, self.headers, self._client)
        told = await api.ask(Call("GET", api.path("v1", "api-key")), secret, Itself)
        if told.api_key_disabled or told.api_key_blocked or told.team_blocked:
            raise ApiError(BLOCKED, HTTPStatus.UNAUTHORIZED)
