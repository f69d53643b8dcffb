"""Who the bot is at AWS, and its signature under a request (SigV4); without an SDK.

Where the identity comes from, and in which order, is as botocore does it (its `credentials.py`); files of profiles are
left out. The signature is checked with AWS's published vectors.
"""

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

import httpx
from pydantic import SecretStr

from bot.aisix.client import http_client
from bot.rotation.errors import ApiError
from bot.sources.calls import Calls

RENEWED_BEFORE = timedelta(minutes=5)
"""Keys that end sooner than this are fetched anew."""

METADATA = "http://169.254.169.254/latest/"
CONTAINERS = "http://169.254.170.2"
WITHOUT_TLS = ("localhost", "127.0.0.1", "::1", "169.254.170.2", "169.254.170.23", "fd00:ec2::23")
"""Hosts that may give a container its keys without TLS: this machine's own, those of ECS and of EKS."""


class Keys(NamedTuple):
    """An identity: the id of an access key, its secret, and what belongs to keys that end by themselves."""

    id: str
    secret: SecretStr
    token: SecretStr | None = None
    ends_at: datetime | None = None


class Target(NamedTuple):
    """The service that a signature is for."""

    service: str
    region: str

    @property
    def address(self) -> str:
        """Return where it is."""
        suffix = ".cn" if self.region.startswith("cn-") else ""
        return f"https://{self.service}.{self.region}.amazonaws.com{suffix}/"


class Request(NamedTuple):
    """What is to be signed."""

    url: str
    body: bytes = b""
    headers: Mapping[str, str] = {}
    method: str = "POST"


def signed(request: Request, keys: Keys, target: Target, now: datetime) -> dict[str, str]:
    """Return the headers to send with a request: its own, and those that sign it."""
    parts, stamp = urlsplit(request.url), f"{now:%Y%m%dT%H%M%SZ}"
    sent = {name.lower(): value for name, value in request.headers.items()} | {"x-amz-date": stamp}
    if keys.token:
        sent["x-amz-security-token"] = keys.token.get_secret_value()
    all_ = sorted({**sent, "host": parts.netloc}.items())
    query = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parse_qsl(parts.query, keep_blank_values=True)
    )
    names = ";".join(name for name, _ in all_)
    canonical = "\n".join((
        request.method, quote(parts.path or "/", safe="/-_.~"), "&".join(map("=".join, query)),
        *(f"{name}:{' '.join(value.split())}" for name, value in all_), "", names,
        hashlib.sha256(request.body).hexdigest(),
    ))  # fmt: skip
    scope = f"{stamp[:8]}/{target.region}/{target.service}/aws4_request"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = b"AWS4" + keys.secret.get_secret_value().encode()
    for part in (*scope.split("/"), text):
        key = hmac.digest(key, part.encode(), "sha256")
    credential = f"AWS4-HMAC-SHA256 Credential={keys.id}/{scope}"
    return sent | {"authorization": f"{credential}, SignedHeaders={names}, Signature={key.hex()}"}


class Identity:
    """Who the bot is at AWS, by its surroundings: keys, a token of its cluster, its container, or its machine.

    Raises `ApiError` where there is none, `Uncertain` where what gives it does not answer.
    """

    def __init__(
        self,
        region: str,
        now: Callable[[], datetime],
        *,
        environ: Mapping[str, str] = os.environ,
        client: Callable[..., httpx.AsyncClient] = http_client,
    ) -> None:
        self._region = region
        self._now = now
        self._environ = environ
        self._calls = Calls("AWS's source of the bot's identity", client)
        self._kept: Keys | None = None

    async def keys(self) -> Keys:
        """Return keys that are valid for some minutes more."""
        kept = self._kept
        if kept is None or (kept.ends_at and kept.ends_at - RENEWED_BEFORE <= self._now()):
            kept = self._kept = await self._found()
        return kept

    async def _found(self) -> Keys:
        given = self._environ.get
        if (id_ := given("AWS_ACCESS_KEY_ID")) and (secret := given("AWS_SECRET_ACCESS_KEY")):
            token = given("AWS_SESSION_TOKEN")
            return Keys(id_, SecretStr(secret), SecretStr(token) if token else None)
        if (role := given("AWS_ROLE_ARN")) and (file := given("AWS_WEB_IDENTITY_TOKEN_FILE")):
            return await self._by_token(role, _written(file))
        if url := self._container():
            return self._of(await self._fetched("GET", url, self._authorization()))
        if given("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
            raise ApiError("The bot has no identity at AWS: give it a role, or AWS_ACCESS_KEY_ID and its secret.")
        return await self._by_machine()

    async def _by_token(self, role: str, token: str) -> Keys:
        """Exchange a token of the cluster for keys; the call is not signed."""
        form = {
            "Action": "AssumeRoleWithWebIdentity",
            "Version": "2011-06-15",
            "RoleArn": role,
            "RoleSessionName": self._environ.get("AWS_ROLE_SESSION_NAME") or "keyturn",
            "WebIdentityToken": token,
        }
        answer = await self._fetched("POST", Target("sts", self._region).address, {}, data=form)
        names = {"AccessKeyId": "", "SecretAccessKey": "", "SessionToken": "Token", "Expiration": ""}
        return _keys({names[name] or name: tagged(answer.text, name) for name in names})

    def _container(self) -> str:
        if there := self._environ.get("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"):
            return CONTAINERS + there
        url = self._environ.get("AWS_CONTAINER_CREDENTIALS_FULL_URI", "")
        parts = urlsplit(url)
        if url and parts.scheme != "https" and parts.hostname not in WITHOUT_TLS:
            raise ApiError("AWS_CONTAINER_CREDENTIALS_FULL_URI is no address that may give the bot an identity.")
        return url

    def _authorization(self) -> dict[str, str]:
        if file := self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"):
            return {"Authorization": _written(file)}
        token = self._environ.get("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        return {"Authorization": token} if token else {}

    async def _by_machine(self) -> Keys:
        """Ask the machine's metadata service (IMDSv2) for the keys of its role."""
        asked = {"X-aws-ec2-metadata-token-ttl-seconds": "60"}
        token = {"X-aws-ec2-metadata-token": (await self._fetched("PUT", f"{METADATA}api/token", asked)).text}
        roles = f"{METADATA}meta-data/iam/security-credentials/"
        role = (await self._fetched("GET", roles, token)).text.split("\n")[0].strip()
        return self._of(await self._fetched("GET", roles + quote(role, safe=""), token))

    async def _fetched(self, method: str, url: str, headers: Mapping[str, str], **body: object) -> httpx.Response:
        answer = await self._calls.ask(method, url, headers=dict(headers), **body)
        if answer.status_code != httpx.codes.OK:
            raise ApiError(f"AWS gives the bot no identity ({answer.status_code}).", answer.status_code)
        return answer

    def _of(self, answer: httpx.Response) -> Keys:
        return _keys(self._calls.told(answer))


def _keys(told: Mapping[str, object]) -> Keys:
    id_, secret, token, until = (told.get(name) for name in ("AccessKeyId", "SecretAccessKey", "Token", "Expiration"))
    if not all(isinstance(each, str) and each for each in (id_, secret, token, until)):
        raise ApiError("AWS gives the bot an identity that is not complete.")
    try:
        ends_at = datetime.fromisoformat(str(until))
    except ValueError:
        raise ApiError("AWS gives the bot an identity that is not complete.") from None
    return Keys(str(id_), SecretStr(str(secret)), SecretStr(str(token)), ends_at)


def tagged(xml: str, name: str) -> str:
    """Return what stands in the first element of a name, which has no other in it; empty if there is none."""
    found = re.search(rf"<{name}>([^<]*)</{name}>", xml)
    return found[1] if found else ""


def _written(file: str) -> str:
    try:
        return Path(file).read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        raise ApiError("The file with the bot's token for AWS can't be read.") from None
