"""What an id token proves, and each way in which it proves nothing."""

import base64
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from bot.oidc.errors import NotSignedIn
from bot.oidc.token import Asked, identity, usable

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)
AT = int(NOW.timestamp())
ASKED = Asked("https://login.example.com", "keyturn", "n-1", NOW - timedelta(seconds=30))
CLAIMS = {
    "iss": ASKED.issuer, "aud": ASKED.client, "sub": "u-1", "nonce": ASKED.nonce, "iat": AT, "exp": AT + 300,
    "auth_time": AT - 5, "email": "approver@example.com", "email_verified": True, "amr": ["pwd", "otp", "<b>", 7],
}  # fmt: skip


@cache
def secret_key(name: str) -> Any:
    if name.startswith("ec"):
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def published(name: str, algorithm: str = "RS256", **more: Any) -> dict[str, Any]:
    of = jwt.algorithms.ECAlgorithm if name.startswith("ec") else jwt.algorithms.RSAAlgorithm
    return of.to_jwk(secret_key(name).public_key(), as_dict=True) | {"kid": name, "alg": algorithm, "use": "sig"} | more


def signed(claims: dict[str, Any], name: str = "rsa-1", algorithm: str = "RS256", **head: Any) -> str:
    return jwt.encode(claims, secret_key(name), algorithm, headers={"kid": name} | head)


def without(*names: str, **changes: Any) -> dict[str, Any]:
    return {name: value for name, value in (CLAIMS | changes).items() if name not in names}


def part(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


def by_the_public_key() -> str:
    """Sign with HMAC, with what everybody knows as the secret."""
    pem = secret_key("rsa-1").public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )  # fmt: skip
    head, body = part({"alg": "HS256", "kid": "rsa-1"}), part(CLAIMS)
    made = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256).sign(f"{head}.{body}".encode(), pem)
    return f"{head}.{body}.{base64.urlsafe_b64encode(made).decode().rstrip('=')}"


KEYS = [published("rsa-1"), published("ec-1", "ES256")]


@pytest.mark.parametrize(("name", "algorithm"), [("rsa-1", "RS256"), ("ec-1", "ES256")])
def test_a_new_token_for_us_says_who_signed_in_and_how(name, algorithm):
    found = identity(signed(CLAIMS, name, algorithm), KEYS, ASKED, NOW)

    assert (found.subject, found.email, found.is_verified) == ("u-1", "approver@example.com", True)
    assert found.methods == ("pwd", "otp")


@pytest.mark.parametrize("told", [False, "true", 1, None, "absent"])
def test_only_true_says_that_an_address_is_verified(told):
    claims = without("email_verified") if told == "absent" else CLAIMS | {"email_verified": told}

    assert identity(signed(claims), KEYS, ASKED, NOW).is_verified is False


def test_a_token_without_an_address_names_none():
    assert identity(signed(without("email")), KEYS, ASKED, NOW).email == ""
    assert identity(signed(CLAIMS | {"email": ["approver@example.com"]}), KEYS, ASKED, NOW).email == ""


TOKENS = {
    "another key with the same name": signed(CLAIMS, "rsa-2", kid="rsa-1"),
    "a key that is not published": signed(CLAIMS, "rsa-2"),
    "no signature": f"{part({'alg': 'none', 'kid': 'rsa-1'})}.{part(CLAIMS)}.",
    "no signature, in other letters": f"{part({'alg': 'nOnE', 'kid': 'rsa-1'})}.{part(CLAIMS)}.",
    "the public key as a secret": by_the_public_key(),
    "an algorithm that is not the key's": signed(CLAIMS, algorithm="RS512"),
    "other claims under an old signature": ".".join([
        signed(CLAIMS).split(".")[0], part(CLAIMS | {"email": "other@example.com"}), signed(CLAIMS).split(".")[2],
    ]),
    "a key that comes with the token": signed(CLAIMS, "rsa-2", jwk=published("rsa-2"), jku="https://evil.example/"),
    "a critical extension": signed(CLAIMS, crit=["exp"], exp=1),
    "no token": None,
    "text": "garbage",
    "a number": 7,
    "three empty parts": "..",
    "too long": signed(CLAIMS | {"pad": "x" * 30_000}),
}  # fmt: skip


@pytest.mark.parametrize("what", TOKENS)
def test_a_token_that_the_provider_did_not_sign_is_refused(what):
    with pytest.raises(NotSignedIn) as refused:
        identity(TOKENS[what], KEYS, ASKED, NOW)

    assert "eyJ" not in str(refused.value)
    assert "example.com" not in str(refused.value)


WRONG = {
    "another issuer": ({"iss": "https://login.example.com/"}, "another issuer"),
    "another application": ({"aud": "other"}, "another application"),
    "several applications": ({"aud": ["keyturn", "other"]}, "another application"),
    "made for another": ({"azp": "other"}, "another application"),
    "another sign-in": ({"nonce": "n-2"}, "another sign-in"),
    "no nonce text": ({"nonce": None}, "another sign-in"),
    "nobody": ({"sub": ""}, "names nobody"),
    "expired": ({"exp": AT - 61}, "has expired"),
    "from the future": ({"iat": AT + 61}, "from the future"),
    "signed in tomorrow": ({"auth_time": AT + 61}, "from the future"),
    "not valid yet": ({"nbf": AT + 61}, "from the future"),
    "signed in before": ({"auth_time": AT - 91}, "signed in already"),
    "no time": ({"auth_time": "now"}, "a time that is none"),
    "a time without end": ({"exp": 10**30}, "a time that is none"),
    "true as a time": ({"exp": True}, "a time that is none"),
}


@pytest.mark.parametrize("what", WRONG)
def test_a_token_that_is_not_for_this_sign_in_is_refused_with_the_reason(what):
    changes, why = WRONG[what]

    with pytest.raises(NotSignedIn, match=why):
        identity(signed(CLAIMS | changes), KEYS, ASKED, NOW)


@pytest.mark.parametrize("missing", ["iss", "aud", "exp", "iat", "sub", "nonce", "auth_time"])
def test_a_token_that_lacks_what_proves_something_is_refused(missing):
    with pytest.raises(NotSignedIn, match=f"does not tell {missing}"):
        identity(signed(without(missing)), KEYS, ASKED, NOW)


def test_a_token_may_differ_from_our_clock_by_a_minute():
    late = signed(CLAIMS | {"exp": AT - 59, "iat": AT + 59, "auth_time": AT - 89})

    assert identity(late, KEYS, ASKED, NOW).subject == "u-1"


def test_only_keys_that_sign_are_used_and_which_one_is_never_a_guess():
    keys = [published("rsa-1"), published("rsa-2", use="enc"), {"kty": "oct", "k": "c2VjcmV0"}, "text"]

    assert [key["kid"] for key in usable({"keys": keys})] == ["rsa-1"]
    assert usable({"keys": "none"}) == usable([]) == []
    unnamed = jwt.encode(CLAIMS, secret_key("rsa-1"), "RS256")
    assert identity(unnamed, usable({"keys": keys}), ASKED, NOW).subject == "u-1"
    with pytest.raises(NotSignedIn, match="does not publish the key"):
        identity(unnamed, [published("rsa-1"), published("rsa-2")], ASKED, NOW)
