"""What an id token proves. Pure: the time is given, and PyJWT only verifies the signature."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import jwt

from bot.oidc.errors import NotSignedIn
from bot.rotation.frozen import Frozen

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""Signatures by a key that the provider alone has: none with a shared secret, and not `none`."""

LEEWAY = timedelta(seconds=60)
"""By how much the provider's clock may differ from ours."""

LONGEST = 20_000
"""Characters of a token that are read."""

METHOD = re.compile(r"[a-z0-9_.-]{1,20}", re.IGNORECASE)
METHODS_MOST = 5

REQUIRED = ("iss", "aud", "exp", "iat", "sub", "nonce", "auth_time")


class Asked(NamedTuple):
    """What was asked of the provider: the answer has to be to this, and newer."""

    issuer: str
    client: str
    nonce: str
    since: datetime
    """When the sign-in was begun: an older one does not count."""


class Identity(Frozen):
    """Who signed in, as the provider says and signs."""

    subject: str
    email: str = ""
    is_verified: bool = False
    """Whether the provider has verified that the address is theirs."""

    methods: tuple[str, ...] = ()
    """How they signed in, if the provider tells: `pwd`, `otp`, `hwk`."""


def identity(token: Any, keys: Sequence[Mapping[str, Any]], asked: Asked, now: datetime) -> Identity:
    """Return who signed in; raise `NotSignedIn` unless the token is signed by one of *keys*, is new, and is for us."""
    claims = _claims(token, keys)
    if missing := [name for name in REQUIRED if name not in claims]:
        raise NotSignedIn(f"the provider does not tell {', '.join(missing)}")
    _check_whose(claims, asked)
    _check_times(claims, asked, now)
    return Identity(subject=_text(claims, "sub"), methods=_methods(claims), **address(claims))


def address(claims: Mapping[str, Any]) -> dict[str, Any]:
    """Return the e-mail address in *claims*, and whether it is verified: only `true` itself says so."""
    return {"email": _text(claims, "email"), "is_verified": claims.get("email_verified") is True}


def usable(keys: Any) -> list[Mapping[str, Any]]:
    """Return the keys of a JWKS that may sign."""
    found = keys.get("keys") if isinstance(keys, dict) else None
    signing = (key for key in found if isinstance(key, dict)) if isinstance(found, list) else ()
    return [key for key in signing if key.get("use", "sig") == "sig" and key.get("kty") in ("RSA", "EC", "OKP")]


def _claims(token: Any, keys: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not isinstance(token, str) or not 0 < len(token) <= LONGEST:
        raise NotSignedIn("the provider sent no id token")
    try:
        head = jwt.get_unverified_header(token)
        algorithm = head.get("alg")
        if algorithm not in ALGORITHMS:
            raise NotSignedIn("the id token is not signed by a key of the provider's own")
        key = jwt.PyJWK(dict(_key(head.get("kid"), keys, algorithm)), algorithm=algorithm)
        return jwt.decode(token, key, algorithms=[algorithm], options=SIGNATURE_ALONE)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # its own text may quote the token
        raise NotSignedIn("the id token's signature is wrong") from None


SIGNATURE_ALONE: Any = {
    "verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False, "verify_iss": False,
    "verify_sub": False, "verify_jti": False,
}  # fmt: skip
"""What PyJWT leaves to us: it would look at a clock of its own, and take one audience of many."""


def _key(name: Any, keys: Sequence[Mapping[str, Any]], algorithm: str) -> Mapping[str, Any]:
    fitting = [key for key in keys if key.get("alg", algorithm) == algorithm]
    named = [key for key in fitting if key.get("kid") == name] if name is not None else fitting
    if len(named) != 1:
        raise NotSignedIn("the provider does not publish the key of the id token")
    return named[0]


def _check_whose(claims: Mapping[str, Any], asked: Asked) -> None:
    audience = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
    if claims["iss"] != asked.issuer:
        raise NotSignedIn("the id token is of another issuer")
    if audience != [asked.client] or claims.get("azp", asked.client) != asked.client:
        raise NotSignedIn("the id token is for another application")
    if claims["nonce"] != asked.nonce:
        raise NotSignedIn("the id token is of another sign-in")
    if not _text(claims, "sub"):
        raise NotSignedIn("the id token names nobody")


def _check_times(claims: Mapping[str, Any], asked: Asked, now: datetime) -> None:
    ends, made, signed_in = (_moment(claims[name]) for name in ("exp", "iat", "auth_time"))
    if now - LEEWAY >= ends:
        raise NotSignedIn("the id token has expired")
    if made > now + LEEWAY or signed_in > now + LEEWAY or _moment(claims.get("nbf", 0)) > now + LEEWAY:
        raise NotSignedIn("the id token is from the future: compare the clocks")
    if signed_in < asked.since - LEEWAY:
        raise NotSignedIn("you were signed in already, and it takes a new sign-in")


def _moment(value: Any) -> datetime:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise NotSignedIn("the id token has a time that is none")
    try:
        return datetime.fromtimestamp(value, UTC)
    except (OverflowError, ValueError, OSError):
        raise NotSignedIn("the id token has a time that is none") from None


def _methods(claims: Mapping[str, Any]) -> tuple[str, ...]:
    told = claims.get("amr")
    words = [word for word in told if isinstance(word, str)] if isinstance(told, list) else []
    return tuple(word for word in words if METHOD.fullmatch(word))[:METHODS_MOST]


def _text(claims: Mapping[str, Any], name: str) -> str:
    value = claims.get(name)
    return value if isinstance(value, str) else ""
