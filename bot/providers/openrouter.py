"""OpenRouter: the keys of one workspace. All that a rotation needs can be done there."""

from typing import Any

from pydantic import SecretStr

from bot.providers.account import UNCHANGED, Account
from bot.providers.client import Call
from bot.providers.shapes import Id, Name, Secret, Told, When, hint
from bot.rotation.credentials import Ability, Minted, Row, Status
from bot.rotation.errors import Uncertain

LIMITS = ("limit", "limit_reset", "include_byok_in_limit", "workspace_id")
"""What is copied from the old key, by the names in its row and in the call that makes a key."""

IN_WORDS = {"limit_reset": "reset of the limit", "include_byok_in_limit": "own keys in the limit"} | {
    "workspace_id": "workspace"
}
"""What people call them, where it differs."""


class Key(Told):
    """A key as the list shows it."""

    hash: Id
    name: Name = ""
    label: str | None = None
    disabled: bool
    created_at: When = None
    last_used_at: When = None
    expires_at: When = None
    workspace_id: str | None = None
    limit: float | None = None
    limit_reset: str | None = None
    include_byok_in_limit: bool | None = None

    @property
    def id(self) -> str:
        """Return its id."""
        return self.hash

    def row(self, now: Any) -> Row:
        """Return it as a row."""
        has_ended = self.expires_at is not None and self.expires_at <= now
        return Row(
            id=self.hash,
            name=self.name,
            hint=hint(self.label),
            status=Status.GONE if has_ended else Status.DISABLED if self.disabled else Status.ACTIVE,
            created_at=self.created_at,
            last_used_at=self.last_used_at,
            expires_at=self.expires_at,
            owner=f"workspace {self.workspace_id}" if self.workspace_id else "",
        )

    @property
    def limits(self) -> dict[str, Any]:
        """Return what a new key needs to be limited as this one is."""
        return {name: value for name in LIMITS if (value := getattr(self, name)) is not None}


class One(Told):
    """An answer about one key."""

    data: Key


class Keys(Told):
    """A page of the list."""

    data: list[Key]


class Made(Told):
    """A key that was just made."""

    key: Secret
    data: Key


class Deleted(Told):
    """The answer to a delete."""

    deleted: bool


class Itself(Told):
    """What a key may read of itself, of which nothing is read."""

    data: dict[str, Any]


class OpenRouter(Account):
    """One workspace at OpenRouter."""

    kind, title = "openrouter", "OpenRouter"
    console = "https://openrouter.ai/settings/keys"
    address = "https://openrouter.ai/api/v1"
    abilities = frozenset(Ability)

    @property
    def _where(self) -> dict[str, str]:
        return {"workspace_id": self._settings.workspace} if self._settings.workspace else {}

    async def mint(self, name: str, like: Row | None) -> Minted:
        """Make a key with the limits of another; guardrails are shown nowhere."""
        limits = (await self._key(like.id)).limits if like else {}
        made = await self._ask(Call("POST", self._api.path("keys"), body={**self._where, **limits, "name": name}), Made)
        ends = ("expiry date",) if like and like.expires_at else ()
        missing = ("guardrails", *ends) if like else ("limit", "guardrails")
        copied = tuple(IN_WORDS.get(each, each) for each in limits)
        return Minted(made.data.row(self._now()), made.key, copied, missing)

    async def rows(self) -> tuple[Row, ...]:
        """List every key of the workspace, disabled ones too; the list of no workspace is that of the default one."""

        async def page(found: list[Key]) -> tuple[list[Key], bool]:
            query = {"include_disabled": "true", "offset": len(found), **self._where}
            shown = (await self._ask(Call("GET", self._api.path("keys"), query), Keys)).data
            known = {key.id for key in found}
            return shown, any(key.id not in known for key in shown)  # nothing else says where it ends

        return tuple(key.row(self._now()) for key in await self._paged(page))

    async def _key(self, row_id: str) -> Key:
        return (await self._ask(Call("GET", self._api.path("keys", row_id)), One)).data

    async def _row(self, row_id: str) -> Row:
        return (await self._key(row_id)).row(self._now())

    async def disable(self, row_id: str) -> None:
        """Disable a key."""
        await self._set(row_id, disabled=True)

    async def enable(self, row_id: str) -> None:
        """Enable a key again."""
        await self._set(row_id, disabled=False)

    async def _set(self, row_id: str, *, disabled: bool) -> None:
        call = Call("PATCH", self._api.path("keys", row_id), body={"disabled": disabled})
        found = (await self._ask(call, One)).data
        if found.id != row_id or found.disabled is not disabled:
            raise Uncertain(self._api.said(UNCHANGED))

    async def _end(self, row_id: str) -> None:
        if not (await self._ask(Call("DELETE", self._api.path("keys", row_id)), Deleted)).deleted:
            raise Uncertain(self._api.said(UNCHANGED))

    async def _greet(self, secret: SecretStr) -> None:
        await self._api.ask(Call("GET", self._api.path("key")), secret, Itself)
