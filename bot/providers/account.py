"""What all accounts at providers have in common."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, ClassVar, TypeVar

import httpx
from pydantic import BaseModel, SecretStr

from bot.aisix.client import http_client
from bot.providers.client import Api, Call
from bot.rotation.credentials import Ability, Minted, Row, Status, Usage
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.settings.providers import ProviderSettings

M = TypeVar("M", bound=BaseModel)
R = TypeVar("R")

PAGES = 100
"""The most pages of a list that are read."""

NO_MINT = "{title} has no API that makes credentials: make one in its console."
NO_DISABLE = "{title} can't disable a credential so that it can be enabled again."
STILL_LISTED = "{title} says that it has no such credential, and lists it: Keyturn looks again."
ENDLESS = "{title} does not let Keyturn read its list to the end."
UNCHANGED = "{title} took the change, and its answer does not show it."
NO_CLEAR_ANSWER = "{title} gives no clear answer about the new secret. {why}"


def bearer(key: SecretStr) -> dict[str, str]:
    """Return the header of most providers."""
    return {"Authorization": f"Bearer {key.get_secret_value()}"}


class Account(ABC):
    """One account at a provider; the base of every adapter."""

    kind: ClassVar[str]
    title: ClassVar[str]
    console: ClassVar[str]
    abilities: ClassVar[frozenset[Ability]]
    address: ClassVar[str]
    asker: ClassVar[str] = "The admin key"
    """What gives Keyturn its rights there."""

    usage_lag: ClassVar[timedelta] = timedelta(minutes=10)
    """How late its figures may be. None of them promises anything; this is Keyturn's own caution."""

    headers: Callable[[SecretStr], dict[str, str]] = staticmethod(bearer)

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        now: Callable[[], datetime],
        *,
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self.name = name
        self.base = settings.url or self.address
        self._settings = settings
        self._now = now
        self._client = client
        self._api = Api(self.title, name, self.base, self.headers, client)

    async def _ask(self, call: Call, kind: type[M]) -> M:
        return await self._api.ask(call, self._settings.admin_key or SecretStr(""), kind)

    async def mint(self, name: str, like: Row | None) -> Minted:  # noqa: ARG002 - the same for each
        """Make a credential."""
        raise Unsupported(self._api.said(NO_MINT))

    @abstractmethod
    async def rows(self) -> tuple[Row, ...]:
        """List every credential."""

    @abstractmethod
    async def _row(self, row_id: str) -> Row:
        """Return a credential; raise `NotFound` if there is none of that id."""

    @abstractmethod
    async def _end(self, row_id: str) -> None:
        """End a credential; raise `NotFound` if there is none of that id."""

    @abstractmethod
    async def _greet(self, secret: SecretStr) -> None:
        """Use a credential itself, harmlessly; raise `ApiError` with status 401 if it is refused."""

    async def read(self, row_id: str) -> Row:
        """Return a credential as it is now."""
        try:
            return await self._row(row_id)
        except NotFound:
            await self._surely_gone(row_id)
            return Row(id=row_id, status=Status.GONE)

    async def delete(self, row_id: str) -> None:
        """End a credential for good."""
        try:
            await self._end(row_id)
        except NotFound:
            await self._surely_gone(row_id)

    async def _surely_gone(self, row_id: str) -> None:
        """Raise if a 404 may mean something else: another project, an address that is no API, a list that has it."""
        if any(row.id == row_id for row in await self.rows()):
            raise Uncertain(self._api.said(STILL_LISTED))

    async def usage(self, row: Row, since: datetime) -> Usage:
        """Return what it knows of a credential's use; one that it never saw used is not known to it."""
        return seen((await self.read(row.id)).last_used_at, since)

    async def disable(self, row_id: str) -> None:  # noqa: ARG002 - the same for each
        """Disable a credential."""
        raise Unsupported(self._api.said(NO_DISABLE))

    async def enable(self, row_id: str) -> None:  # noqa: ARG002 - the same for each
        """Enable a credential again."""
        raise Unsupported(self._api.said(NO_DISABLE))

    async def works(self, secret: SecretStr) -> bool:
        """Return whether the provider takes a secret; only a 401 is a refusal."""
        try:
            await self._greet(secret)
        except ApiError as error:
            if error.status == httpx.codes.UNAUTHORIZED:
                return False
            why = self._api.said(NO_CLEAR_ANSWER, why=error)
            raise Uncertain(why, error.status, getattr(error, "retry_after", None)) from None
        return True

    async def _paged(self, page: Callable[[list[R]], Awaitable[tuple[list[R], bool]]]) -> list[R]:
        """Return a whole list; *page* returns the rows after those that are known, and whether there are more."""
        found: list[R] = []
        for _ in range(PAGES):
            rows, has_more = await page(found)
            known: set[Any] = {getattr(row, "id", row) for row in found}
            new = [row for row in rows if getattr(row, "id", row) not in known]
            found += new
            if not has_more:
                return found
            if not new:
                break
        raise Uncertain(self._api.said(ENDLESS))


def seen(last: datetime | None, since: datetime) -> Usage:
    """Return what a last use tells of the time *since*; None tells nothing: the figure may be late, or lost."""
    return Usage(is_known=last is not None, last_at=last if last and last >= since else None)
