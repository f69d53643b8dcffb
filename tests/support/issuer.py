"""A small OpenID Connect provider of our own, which may lie: it signs everybody in at once as `claims` says."""

import base64
import hashlib
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import urlencode

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.aisix.serving import Server

CLIENT, SECRET = "keyturn", "client-secret-CANARY/+%"

Json = dict[str, Any]


@cache
def rsa_key(name: str) -> rsa.RSAPrivateKey:
    assert name
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


class Issuer:
    """The provider; its attributes may be changed at any time."""

    def __init__(self) -> None:
        self.url = ""
        self.claims: Json = {"email": "approver@example.com", "email_verified": True}
        """What a token says beside the usual; None leaves a claim out."""

        self.discovery: Json = {}
        """What discovery says in place of the usual; None leaves a name out."""

        self.signs_with = "published"
        self.userinfo: Json = {}
        self.refuses = ""
        self.asked: list[Json] = []
        """What browsers were sent here with."""

        self.redeemed: list[Json] = []
        self.codes: dict[str, Json] = {}

    def settings(self) -> dict[str, str]:
        """Return the settings of a bot that knows it."""
        return {"OIDC_ISSUER": self.url, "OIDC_CLIENT_ID": CLIENT, "OIDC_CLIENT_SECRET": SECRET}

    async def discover(self, _: web.Request) -> web.Response:
        told = {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "userinfo_endpoint": f"{self.url}/userinfo",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "email"],
        } | self.discovery
        return web.json_response({name: value for name, value in told.items() if value is not None})

    async def keys(self, _: web.Request) -> web.Response:
        public = jwt.algorithms.RSAAlgorithm.to_jwk(rsa_key("published").public_key(), as_dict=True)
        return web.json_response({"keys": [public | {"kid": "1", "alg": "RS256", "use": "sig"}]})

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        self.asked.append(asked)
        back = {"state": asked["state"]}
        if self.refuses:
            back |= {"error": self.refuses}
        else:
            code = secrets.token_urlsafe()
            self.codes[code] = asked
            back |= {"code": code}
        return web.Response(status=303, headers={"Location": f"{asked['redirect_uri']}?{urlencode(back)}"})

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.redeemed.append(form | {"authorization": request.headers.get("Authorization", "")})
        asked = self.codes.pop(form.get("code", ""), None)
        made = base64.urlsafe_b64encode(hashlib.sha256(form.get("code_verifier", "").encode()).digest()).decode()
        if (
            asked is None
            or asked["code_challenge"] != made.rstrip("=")
            or asked["redirect_uri"] != form["redirect_uri"]
        ):
            return web.json_response({"error": "invalid_grant"}, status=400)
        now = int(time.time())
        claims = {
            "iss": self.url, "aud": CLIENT, "sub": "u-1", "nonce": asked["nonce"], "iat": now, "exp": now + 300,
            "auth_time": now, "amr": ["pwd"],
        } | self.claims  # fmt: skip
        token = jwt.encode(
            {name: value for name, value in claims.items() if value is not None},
            rsa_key(self.signs_with),
            "RS256",
            headers={"kid": "1"},
        )
        return web.json_response({"id_token": token, "access_token": "opaque", "token_type": "Bearer"})

    async def describe(self, _: web.Request) -> web.Response:
        return web.json_response({"sub": "u-1"} | self.userinfo)


@asynccontextmanager
async def issuer_of() -> AsyncIterator[Issuer]:
    """Serve the provider on loopback."""
    made, site, server = Issuer(), web.Application(), Server()
    site.add_routes([
        web.get("/.well-known/openid-configuration", made.discover),
        web.get("/keys", made.keys),
        web.get("/authorize", made.authorize),
        web.post("/token", made.token),
        web.get("/userinfo", made.describe),
    ])  # fmt: skip
    await server.start(site)
    made.url = server.url.rstrip("/")
    try:
        yield made
    finally:
        await server.stop()
