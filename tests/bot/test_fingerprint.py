"""Fingerprints: one credential has one, however it is written, and nobody can read it back out of it."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.rotation.fingerprint import fingerprint_of, is_made_with, is_same
from tests.bot.values import key

PEPPER = SecretStr("pepper-CANARY-0123456789")
OTHER_PEPPER = SecretStr("another-CANARY-0123456789")
PLAIN_KEY, AZURE_KEY = key(provider="openai"), key(provider="azure")
BEDROCK_KEY, VERTEX_KEY = key(provider="amazon-bedrock"), key(provider="google-vertex")

words = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=8, max_size=60)
spaces = st.text(" \t\r\n", max_size=4)


def pem(body: str, end: str = "\n") -> str:
    lines = [body[at : at + 64] for at in range(0, len(body), 64)]
    return end.join(["-----BEGIN PRIVATE KEY-----", *lines, "-----END PRIVATE KEY-----", ""])


def account(private_key: str) -> dict[str, str]:
    return {
        "type": "service_account",
        "client_email": "bot@p.iam.gserviceaccount.com",
        "private_key": private_key,
        "token_uri": "https://oauth2.googleapis.com/token",
    }


BEDROCK = {"access_key_id": "AKIA1", "secret_access_key": "s/1", "region": "eu-west-1"}
AZURE = {"tenant_id": "t", "client_id": "c", "client_secret": "s/1 \u00e9"}
TOKEN = {"project": "p", "region": "r", "access_token": "ya29.x"}
ACCOUNT = {"project": "p", "region": "r", "service_account_json": account(pem("K" * 100))}
DOCUMENTS = [(BEDROCK_KEY, BEDROCK), (AZURE_KEY, AZURE), (VERTEX_KEY, TOKEN), (VERTEX_KEY, ACCOUNT)]


def printed(pasted: str | dict[str, Any], of=PLAIN_KEY, pepper: SecretStr = PEPPER) -> str:
    text = pasted if isinstance(pasted, str) else json.dumps(pasted)
    return fingerprint_of(SecretStr(text), of, pepper)


@pytest.mark.parametrize("of", [PLAIN_KEY, AZURE_KEY])
@given(words.filter(lambda word: not word.startswith("{")), spaces, spaces)
def test_a_plain_secret_is_known_again_whatever_white_space_is_around_it(of, secret, before, after):
    assert is_same(printed(secret, of), printed(before + secret + after, of))


@given(words, words)
def test_two_secrets_have_two_fingerprints(one, other):
    assert is_same(printed(one), printed(other)) is (one == other)


@pytest.mark.parametrize(("of", "document"), DOCUMENTS)
def test_a_document_is_known_again_however_it_is_written_and_nothing_of_it_can_be_read_back(of, document):
    known = printed(document, of)
    turned = json.dumps(dict(reversed(document.items())), indent="\t", ensure_ascii=False)
    escaped = json.dumps(document).replace("client", "\\u0063lient").replace("/", "\\/")

    assert is_same(known, printed(turned, of))
    assert is_same(known, printed(escaped, of))
    assert re.fullmatch(r"[0-9a-f]{16}\.[0-9a-f]{64}", known)


@pytest.mark.parametrize("end", ["\r\n", "\n\n"])
@pytest.mark.parametrize("as_text", [False, True])
def test_a_service_account_is_known_again_as_an_object_or_as_text_with_any_line_breaks(end, as_text):
    held = account(pem("K" * 100, end))
    again = ACCOUNT | {"service_account_json": json.dumps(held, indent=1) if as_text else held}

    assert is_same(printed(ACCOUNT, VERTEX_KEY), printed(again, VERTEX_KEY))


@pytest.mark.parametrize(
    ("of", "document", "change", "same"),
    [
        (BEDROCK_KEY, BEDROCK, {"region": "us"}, True),
        (AZURE_KEY, AZURE, {"tenant_id": "x.onmicrosoft.com"}, True),
        (VERTEX_KEY, ACCOUNT, {"project": "q"}, True),
        (VERTEX_KEY, TOKEN, {"service_account_json": None}, True),
        (BEDROCK_KEY, BEDROCK, {"secret_access_key": "S"}, False),
        (AZURE_KEY, AZURE, {"client_secret": "s2"}, False),
        (VERTEX_KEY, TOKEN, {"access_token": "ya29.y"}, False),
        (VERTEX_KEY, ACCOUNT, {"service_account_json": account("L")}, False),
    ],
)
def test_only_what_is_revoked_at_the_provider_makes_another_credential(of, document, change, same):
    assert is_same(printed(document, of), printed(document | change, of)) is same


def test_fingerprints_of_different_peppers_are_never_compared():
    ours, theirs = (printed("a secret", pepper=pepper) for pepper in (PEPPER, OTHER_PEPPER))

    assert is_same(ours, theirs) is None
    assert (is_made_with(ours, PEPPER), is_made_with(ours, OTHER_PEPPER)) == (True, False)
