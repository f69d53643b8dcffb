"""Fingerprints: one credential has one, however it is written, and nobody can read it back out of it."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.rotation.fingerprint import fingerprint_of, is_made_with, is_same
from tests.bot.values import key

PEPPER = SecretStr("pepper-CANARY-0123456789")
OTHER_PEPPER = SecretStr("another-CANARY-0123456789")
PLAIN_KEY, AZURE_KEY = key(provider="openai"), key(provider="azure")
BEDROCK_KEY, VERTEX_KEY = key(provider="amazon-bedrock"), key(provider="google-vertex")

words = st.text(
    st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\"'`{-"), min_size=8, max_size=60
)
anything = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
spaces = st.text(" \t\r\n", max_size=4)
base64 = st.text("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", min_size=64, max_size=256)


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


documents = st.one_of(
    st.fixed_dictionaries({"access_key_id": words, "secret_access_key": words, "region": words}).map(
        lambda document: (BEDROCK_KEY, document)
    ),
    st.fixed_dictionaries({"tenant_id": words, "client_id": words, "client_secret": words}).map(
        lambda document: (AZURE_KEY, document)
    ),
    st.fixed_dictionaries({"project": words, "region": words, "access_token": words}).map(
        lambda document: (VERTEX_KEY, document)
    ),
    base64.map(
        lambda body: (VERTEX_KEY, {"project": "p", "region": "r", "service_account_json": account(pem(body))}),
    ),
)


def printed(pasted: str | dict[str, Any], of=PLAIN_KEY, pepper: SecretStr = PEPPER) -> str:
    text = pasted if isinstance(pasted, str) else json.dumps(pasted)
    return fingerprint_of(SecretStr(text), of, pepper)


@given(words, spaces, spaces)
def test_a_plain_secret_is_known_again_whatever_white_space_is_around_it(secret, before, after):
    assert is_same(printed(secret), printed(before + secret + after))


@given(words, words)
def test_two_secrets_have_two_fingerprints(one, other):
    assert is_same(printed(one), printed(other)) is (one == other)


@given(documents, st.randoms(use_true_random=False), st.sampled_from([None, 0, 2, "\t"]), st.booleans())
def test_a_document_is_known_again_however_it_is_written(case, random, indent, ascii_only):
    of, document = case
    fields = list(document.items())
    random.shuffle(fields)
    again = json.dumps(dict(fields), indent=indent, ensure_ascii=ascii_only)

    assert is_same(printed(document, of), printed(again, of))


@given(anything)
def test_an_escaped_character_is_the_character(value):
    document = {"tenant_id": "t", "client_id": "c", "client_secret": value}
    escaped = json.dumps(document).replace("client_secret", "\\u0063lient_secret").replace("/", "\\/")

    assert is_same(printed(document, AZURE_KEY), printed(escaped, AZURE_KEY))


@given(base64, st.sampled_from(["\n", "\r\n", "\n\n"]), st.booleans())
def test_a_service_account_is_known_again_as_an_object_or_as_text_with_any_line_breaks(body, end, as_text):
    held = account(pem(body, end))
    one = {"project": "p", "region": "r", "service_account_json": account(pem(body))}
    again = one | {"service_account_json": json.dumps(held, indent=1) if as_text else held}

    assert is_same(printed(one, VERTEX_KEY), printed(again, VERTEX_KEY))


@pytest.mark.parametrize(
    ("of", "document", "change"),
    [
        (BEDROCK_KEY, {"access_key_id": "AKIA1", "secret_access_key": "s", "region": "eu-west-1"}, {"region": "us"}),
        (BEDROCK_KEY, {"access_key_id": "AKIA1", "secret_access_key": "s", "region": "eu-west-1"}, {"note": "mine"}),
        (AZURE_KEY, {"tenant_id": "t", "client_id": "c", "client_secret": "s"}, {"tenant_id": "x.onmicrosoft.com"}),
        (VERTEX_KEY, {"project": "p", "region": "r", "service_account_json": account("K")}, {"project": "q"}),
        (VERTEX_KEY, {"project": "p", "region": "r", "access_token": "ya29.x"}, {"service_account_json": None}),
    ],
)  # fmt: skip
def test_what_is_not_revoked_at_the_provider_makes_no_other_credential(of, document, change):
    assert is_same(printed(document, of), printed(document | change, of))


@pytest.mark.parametrize(
    ("of", "document", "change"),
    [
        (BEDROCK_KEY, {"access_key_id": "AKIA1", "secret_access_key": "s", "region": "r"}, {"secret_access_key": "S"}),
        (AZURE_KEY, {"tenant_id": "t", "client_id": "c", "client_secret": "s"}, {"client_secret": "s2"}),
        (VERTEX_KEY, {"project": "p", "region": "r", "access_token": "ya29.x"}, {"access_token": "ya29.y"}),
        (
            VERTEX_KEY,
            {"project": "p", "region": "r", "service_account_json": account("K")},
            {"service_account_json": account("L")},
        ),
    ],
)  # fmt: skip
def test_another_credential_in_the_same_place_is_another(of, document, change):
    assert is_same(printed(document, of), printed(document | change, of)) is False


def test_an_azure_resource_key_is_taken_as_it_is():
    assert is_same(printed("0123456789abcdef", AZURE_KEY), printed("0123456789abcdef\n", AZURE_KEY))


@given(words, words, words)
def test_fingerprints_of_different_peppers_are_never_compared(secret, one, other):
    assume(one != other)
    ours, theirs = (printed(secret, pepper=SecretStr(pepper)) for pepper in (one, other))

    assert ours != theirs
    assert is_same(ours, theirs) is None
    assert is_made_with(ours, SecretStr(one))
    assert not is_made_with(ours, SecretStr(other))


@given(documents | words.map(lambda secret: (PLAIN_KEY, secret)))
def test_nothing_of_the_secret_or_the_pepper_is_in_it(case):
    of, secret = case
    said = printed(secret, of)

    assert len(said) == 16 + 1 + 64
    assert set(said) <= set("0123456789abcdef.")
    assert PEPPER.get_secret_value() not in said
    assert said != printed(secret, of, OTHER_PEPPER)
