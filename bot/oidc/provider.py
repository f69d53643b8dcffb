"""Asks the provider: discovery, the code for a token, and the e-mail address where the token has none.

Nothing is kept between two sign-ins, as there are few: so a key that the provider has replaced is not trusted any more.
"""

import base64
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import quote_plus, urlencode, urlsplit

import httpx
from pydantic import SecretStr

from bot.aisix.client import can_be_asked, http_client, read
from bot.aisix.untrusted_json import UnreadableJson, decoded
from bot.oidc.errors import NotSignedIn, ProviderAway
from bot.oidc.token import ALGORITHMS, Asked, Identity, address, identity, usable
from bot.rotation.trust import UNTRUSTED, is_untrusted

WELL_KNOWN = "/.well-known/openid-configuration"
ANSWER_MOST = 1_000_000
"""Bytes of one answer that are read."""

OWN_HOSTS = ("localhost", "127.0.0.1", "::1")
OK, UNAUTHORIZED = 200, 401

FRESH = 60
"""Seconds since the sign-in that are asked for, beside `prompt=login`; 0 is taken for nothing by some."""


class Client(NamedTuple):
    """Keyturn, as the provider knows it."""

    issuer: str
    id: str
    secret: SecretStr
    back: str
    """The page to which the provider sends people back."""


class Endpoints(NamedTuple):
    """What discovery tells."""

    authorization: str
    token: str
    keys: str
    userinfo: str
    by_post: bool
    """Whether the secret has to stand in the body: the provider takes none in a header."""


class Provider:
    """The provider of one issuer. Raises `ProviderAway`, or `NotSignedIn` about a person."""

    def __init__(self, client: Client, *, timeout: float, now: Callable[[], datetime]) -> None:
        self._client = client
        self._timeout = timeout
        self._now = now

    @property
    def issuer(self) -> str:
        """Return its name."""
        return self._client.issuer

    async def address(self, state: str, nonce: str, challenge: str) -> str:
        """Return where a browser begins a new sign-in."""
        there = (await self.discovered()).authorization
        asked = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._client.back,
            "scope": "openid email",
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
            "prompt": "login",
            "max_age": FRESH,
        }
        return f"{there}{'&' if urlsplit(there).query else '?'}{urlencode(asked)}"

    async def signed_in(self, code: str, verifier: str, nonce: str, since: datetime) -> Identity:
        """Redeem the code, and return who signed in, no earlier than *since*."""
        there = await self.discovered()
        tokens = await self._redeemed(there, code, verifier)
        asked = Asked(self._client.issuer, self._client.id, nonce, since)
        found = identity(tokens.get("id_token"), await self._keys(there.keys), asked, self._now())
        return found if found.email or not there.userinfo else await self._described(there.userinfo, tokens, found)

    async def tried(self) -> int:
        """Do what can be done without a person, and return the number of keys."""
        return len(await self._keys((await self.discovered()).keys))

    async def discovered(self) -> Endpoints:
        """Return the endpoints, if the provider can do what Keyturn needs."""
        told = await self._asked("GET", self._client.issuer.rstrip("/") + WELL_KNOWN, "its discovery")
        if told.get("issuer") != self._client.issuer:
            raise ProviderAway(f"calls itself {_named(told.get('issuer'))}, so OIDC_ISSUER is not the same")
        _check_able(told)
        methods = told.get("token_endpoint_auth_methods_supported") or ["client_secret_basic"]
        return Endpoints(
            authorization=_endpoint(told, "authorization_endpoint"),
            token=_endpoint(told, "token_endpoint"),
            keys=_endpoint(told, "jwks_uri"),
            userinfo=_endpoint(told, "userinfo_endpoint") if told.get("userinfo_endpoint") else "",
            by_post="client_secret_basic" not in methods and "client_secret_post" in methods,
        )

    async def _keys(self, there: str) -> list[Mapping[str, Any]]:
        keys = usable(await self._asked("GET", there, "its jwks_uri"))
        if not keys:
            raise ProviderAway("publishes no key that signs")
        return keys

    async def _redeemed(self, there: Endpoints, code: str, verifier: str) -> dict[str, Any]:
        client, secret = self._client, self._client.secret.get_secret_value()
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.back}
        form |= {"code_verifier": verifier}
        if there.by_post:
            return await self._asked(
                "POST", there.token, "its token endpoint", data=form | {"client_id": client.id, "client_secret": secret}
            )
        known = base64.b64encode(f"{quote_plus(client.id)}:{quote_plus(secret)}".encode()).decode()
        return await self._asked(
            "POST", there.token, "its token endpoint", data=form, headers={"Authorization": f"Basic {known}"}
        )

    async def _described(self, there: str, tokens: Mapping[str, Any], found: Identity) -> Identity:
        bearer = {"Authorization": f"Bearer {_bearer(tokens)}"}
        told = await self._asked("GET", there, "its userinfo endpoint", headers=bearer)
        if told.get("sub") != found.subject:
            raise NotSignedIn("the provider describes somebody else")
        return found.but(**address(told))

    async def _asked(self, method: str, url: str, what: str, **options: Any) -> dict[str, Any]:
        """Return an answer in JSON; no sentence repeats anything of it, as it may hold a token."""
        try:
            async with http_client([url], timeout=self._timeout) as client:
                answer = await read(client, method, url, ANSWER_MOST, **options)
        except httpx.HTTPError as error:
            why = UNTRUSTED if is_untrusted(error) else type(error).__name__
            raise ProviderAway(f"does not answer: {what}, {why}") from None
        told = _told(answer)
        if answer.status_code == UNAUTHORIZED and method == "POST":
            raise ProviderAway("refuses OIDC_CLIENT_ID and OIDC_CLIENT_SECRET")
        if answer.status_code != OK and method == "POST":
            raise NotSignedIn(f"the provider gives nothing for what your browser brought ({answer.status_code})")
        if not isinstance(told, dict):
            raise ProviderAway(f"gives no usable answer: {what}, {answer.status_code}")
        return told


def _told(answer: httpx.Response) -> Any:
    with suppress(UnreadableJson):
        return decoded(answer.content) if answer.status_code == OK else None
    return None


def _check_able(told: Mapping[str, Any]) -> None:
    """Refuse a provider that says that it can't do what Keyturn asks; one that says nothing is tried."""
    for name, ours in (
        ("response_types_supported", ("code",)),
        ("code_challenge_methods_supported", ("S256",)),
        ("id_token_signing_alg_values_supported", ALGORITHMS),
        ("scopes_supported", ("email",)),
    ):
        theirs = told.get(name)
        if isinstance(theirs, list) and not {*ours} & {each for each in theirs if isinstance(each, str)}:
            raise ProviderAway(f"does not offer {' or '.join(ours)} ({name})")


def _endpoint(told: Mapping[str, Any], name: str) -> str:
    url = told.get(name)
    if not isinstance(url, str) or not url.isprintable() or not can_be_asked(url):
        raise ProviderAway(f"names no usable {name}")
    parts = urlsplit(url)
    if "@" in parts.netloc or not (parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in OWN_HOSTS)):
        raise ProviderAway(f"names no usable {name}")
    return url


def _bearer(tokens: Mapping[str, Any]) -> str:
    token = tokens.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable():
        raise NotSignedIn("the provider does not tell your e-mail address")
    return token


def _named(issuer: Any) -> str:
    return issuer[:200] if isinstance(issuer, str) and issuer.isprintable() else "by no name"
