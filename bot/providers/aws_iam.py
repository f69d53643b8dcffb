"""AWS: the access keys of one IAM user, which AISIX has for Bedrock. The bot signs with an identity of its own.

Its answers are XML. An access key has no name, so one whose answer was lost could not be found again: none is made.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NoReturn
from urllib.parse import urlencode
from xml.etree import ElementTree as ET

import httpx
from pydantic import SecretStr, TypeAdapter, ValidationError

from bot.aisix.client import http_client
from bot.providers.account import UNCHANGED, Account, seen
from bot.providers.client import BROKEN, REFUSALS, UNREAD, Api, Call
from bot.providers.shapes import Id, When
from bot.rotation.credentials import Ability, Minted, Row, Status, Usage
from bot.rotation.errors import ApiError, NotFound, Uncertain, Unsupported
from bot.settings.providers import ProviderSettings
from bot.sources.aws import Identity, Request, Target, signed

TARGET = Target("iam", "us-east-1")
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
VERSION = "2010-05-08"
STATUS = {"Active": Status.ACTIVE, "Inactive": Status.DISABLED}
ID: TypeAdapter[str] = TypeAdapter(Id)
WHEN: TypeAdapter[datetime | None] = TypeAdapter(When)

UNKNOWN = "AWS does not take the bot's own identity ({status}): see docs/secrets.md, AWS."
FORBIDDEN = (
    "AWS says that the bot's own identity may not do this for {name} in PROVIDERS (403): docs/providers.md has the "
    "rights that it needs."
)
NO_USER = "AWS knows no IAM user {user} (404): correct `user` of {name} in PROVIDERS."
NOT_LISTED = "AWS lists no access key of that id."
OWN = "Keyturn itself signs with this access key, so it neither disables nor deletes it."
NAMELESS = (
    "Keyturn makes no access key at AWS: it has no name by which a lost one could be found. Make one in the console."
)
UNTRIED = "Keyturn can't try an access key alone."
STRANGERS = ("InvalidClientTokenId", "SignatureDoesNotMatch", "ExpiredToken", "IncompleteSignature")
"""What AWS calls an identity that it does not take."""


class Query(Api):
    """IAM's Query API; its errors have a word in them that says more than the status."""

    def _refusal(self, call: Call, answer: httpx.Response) -> ApiError:
        word = answer.text.partition("<Code>")[2].partition("</Code>")[0]
        status = answer.status_code
        if word.startswith(("Throttling", "RequestLimitExceeded")):
            return Uncertain(self.said(REFUSALS[429]), status, arrived=False)
        if word == "EntityTemporarilyUnmodifiable":
            return Uncertain(self.said(BROKEN, status=status), status)
        if status == httpx.codes.UNAUTHORIZED or word in STRANGERS:
            return ApiError(self.said(UNKNOWN, status=status), status)
        if status == httpx.codes.FORBIDDEN:
            return ApiError(self.said(FORBIDDEN), status)
        return super()._refusal(call, answer)


class AwsIam(Account):
    """One IAM user."""

    kind, title = "aws-iam", "AWS"
    console = "https://console.aws.amazon.com/iam/home#/users"
    address = "https://iam.amazonaws.com"
    asker = "The bot's own identity"
    abilities = frozenset({Ability.LIST, Ability.LAST_USED, Ability.DISABLE, Ability.DELETE})
    usage_lag = timedelta(hours=4)
    """AWS says it of services last accessed, and nothing of access keys."""

    def __init__(
        self,
        name: str,
        settings: ProviderSettings,
        now: Callable[[], datetime],
        *,
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        super().__init__(name, settings, now, client=client)
        self._identity = Identity(TARGET.region, now, client=client)
        self._query = Query(self.title, name, self.base, self.headers, client)

    async def _told(self, action: str, **asked: str) -> ET.Element:
        """Return the answer to an action."""
        body = urlencode({"Action": action, "Version": VERSION, **asked}).encode()
        request = Request(f"{self.base.rstrip('/')}/", body, FORM)
        headers = signed(request, await self._identity.keys(), TARGET, self._now())
        answer = await self._query.answered(Call("POST", "/", body=body), headers)
        root = parsed(answer.content)
        if root is None or root.tag != f"{action}Response":
            raise Uncertain(self._api.said(UNREAD), answer.status_code)
        return root

    async def mint(self, name: str, like: Row | None) -> Minted:  # noqa: ARG002 - the same for each
        """Refuse: access keys have no names."""
        raise Unsupported(NAMELESS)

    async def rows(self) -> tuple[Row, ...]:
        """List every access key of the user."""
        after: dict[str, str] = {}

        async def page(_: list[Row]) -> tuple[list[Row], bool]:
            told = await self._told("ListAccessKeys", UserName=self._settings.user, **after)
            result = told.find("ListAccessKeysResult")
            members = None if result is None else result.find("AccessKeyMetadata")
            if result is None or members is None:
                self._unread()
            after["Marker"] = result.findtext("Marker") or ""
            has_more = result.findtext("IsTruncated") == "true"
            return [self._shown(one) for one in members.iterfind("member")], has_more

        try:
            return tuple(await self._paged(page))
        except NotFound as error:
            raise NotFound(self._api.said(NO_USER, user=self._settings.user), error.status) from None

    def _shown(self, told: ET.Element) -> Row:
        """Return an access key of the list as a row."""
        try:
            id_ = ID.validate_python(told.findtext("AccessKeyId"))
            status = STATUS[told.findtext("Status") or ""]
            made = WHEN.validate_python(told.findtext("CreateDate"))
        except (ValidationError, KeyError):
            self._unread()
        return Row(id=id_, hint=id_, status=status, created_at=made, owner=f"IAM user {self._settings.user}")

    def _unread(self) -> NoReturn:
        raise Uncertain(self._api.said(UNREAD), httpx.codes.OK) from None

    async def _row(self, row_id: str) -> Row:
        """Return an access key from the list: nothing else shows its status."""
        found = next((row for row in await self.rows() if row.id == row_id), None)
        if found is None:
            raise NotFound(NOT_LISTED, httpx.codes.NOT_FOUND)
        return found

    async def usage(self, row: Row, since: datetime) -> Usage:
        """Return when AWS saw an access key used last; a date that is missing or N/A is no data."""
        told = await self._told("GetAccessKeyLastUsed", AccessKeyId=row.id)
        used = told.find("GetAccessKeyLastUsedResult/AccessKeyLastUsed")
        if used is None:
            self._unread()
        date = used.findtext("LastUsedDate") or None
        try:
            return seen(WHEN.validate_python(None if date == "N/A" else date), since)
        except ValidationError:
            self._unread()

    async def disable(self, row_id: str) -> None:
        """Set an access key inactive."""
        await self._not_own(row_id)
        await self._set(row_id, "Inactive")

    async def enable(self, row_id: str) -> None:
        """Set an access key active again."""
        await self._set(row_id, "Active")

    async def _set(self, row_id: str, status: str) -> None:
        """Change an access key, and look: the answer to a change says nothing."""
        await self._told("UpdateAccessKey", UserName=self._settings.user, AccessKeyId=row_id, Status=status)
        if (await self._row(row_id)).status is not STATUS[status]:
            raise Uncertain(self._api.said(UNCHANGED))

    async def _end(self, row_id: str) -> None:
        await self._not_own(row_id)
        await self._told("DeleteAccessKey", UserName=self._settings.user, AccessKeyId=row_id)
        if any(row.id == row_id for row in await self.rows()):
            raise Uncertain(self._api.said(UNCHANGED))

    async def _not_own(self, row_id: str) -> None:
        if (await self._identity.keys()).id == row_id:
            raise ApiError(OWN)

    async def _greet(self, secret: SecretStr) -> None:  # noqa: ARG002 - the same for each
        """Raise: only what Keyturn makes is tried at its provider, and it makes none here."""
        raise Uncertain(UNTRIED)


def parsed(content: bytes) -> ET.Element | None:
    """Return XML without its namespaces; None for what is none, and for any that declares types or entities."""
    try:
        text = content.decode()
        root = None if "<!" in text else ET.fromstring(text)  # noqa: S314 - nothing is declared in it
    except (UnicodeDecodeError, ValueError, ET.ParseError):
        return None
    for one in root.iter() if root is not None else ():
        one.tag = one.tag.rpartition("}")[2]
    return root
