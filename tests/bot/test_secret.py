"""The shape of a secret, and the look of one where none belongs."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from bot import secret as module
from bot.errors import BadInput
from bot.secret import checked, family, is_surely_secret, may_be_secret
from tests.bot.values import key

PLAIN = "sk-proj-0123456789abcdefABCDEF"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
ACCOUNT = {
    "type": "service_account",
    "client_email": "bot@p.iam.gserviceaccount.com",
    "private_key": PEM,
    "token_uri": "https://oauth2.googleapis.com/token",
}
BEDROCK = {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": "s3cr3t/+", "region": "eu-west-1"}
VERTEX = {"project": "p", "region": "europe-west1"}
AZURE = {"tenant_id": "t", "client_id": "c", "client_secret": "s"}

OPENAI_KEY = key(provider="openai")
BEDROCK_KEY = key(provider="amazon-bedrock")
VERTEX_KEY = key(provider="google-vertex")
AZURE_KEY = key(provider="azure")
OWN_BEDROCK_KEY = key(provider="my-cloud", settings={"adapter": "bedrock"})


def without(document: dict, field: str) -> dict:
    return {name: value for name, value in document.items() if name != field}


def refusal(pasted: str, of=OPENAI_KEY) -> str:
    with pytest.raises(BadInput) as caught:
        checked(pasted, of)
    assert caught.value.field == "secret"
    return str(caught.value)


@pytest.mark.parametrize(
    ("provider", "adapter", "expected"),
    [
        ("openai", "", None),
        ("anthropic", "anthropic", None),
        ("amazon-bedrock", "", "bedrock"),
        ("google-vertex", "", "vertex"),
        ("azure", "", "azure"),
        ("mine", "azure-openai", "azure"),
        ("mine", "vertex", "vertex"),
        ("Amazon-Bedrock", "", "bedrock"),
        ("", "", None),
    ],
)
def test_provider_or_adapter_tell_the_family(provider, adapter, expected):
    assert family(key(provider=provider, settings={"adapter": adapter})) == expected


# --- what is taken ---


@pytest.mark.parametrize(
    ("of", "pasted"),
    [
        (OPENAI_KEY, PLAIN),
        (key(provider="my-llm", settings={"adapter": "openai"}), "x"),
        (BEDROCK_KEY, json.dumps(BEDROCK)),
        (OWN_BEDROCK_KEY, json.dumps(BEDROCK)),
        (BEDROCK_KEY, json.dumps(BEDROCK | {"session_token": "t"})),
        (VERTEX_KEY, json.dumps(VERTEX | {"access_token": "ya29.x"})),
        (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": ACCOUNT})),
        (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": json.dumps(ACCOUNT)})),
        (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": ACCOUNT}, indent=2)),
        (AZURE_KEY, "0123456789abcdef0123456789abcdef"),
        (AZURE_KEY, json.dumps(AZURE)),
        (AZURE_KEY, json.dumps(AZURE | {"authority_host": "https://login"})),
    ],
)
def test_a_secret_of_its_providers_shape_is_taken_as_it_is(of, pasted):
    assert checked(pasted, of).get_secret_value() == pasted


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", "\n {} \t\n", " {}"])
def test_space_around_a_secret_is_trimmed(around):
    assert checked(around.format(PLAIN), OPENAI_KEY).get_secret_value() == PLAIN


def test_the_newlines_of_a_pem_are_not_touched():
    document = json.dumps(VERTEX | {"service_account_json": ACCOUNT})
    sent = checked(document + "\n", VERTEX_KEY).get_secret_value()

    assert sent == document
    assert json.loads(sent)["service_account_json"]["private_key"] == PEM


def test_a_taken_secret_does_not_print():
    assert PLAIN not in f"{checked(PLAIN, OPENAI_KEY)!r} {checked(PLAIN, OPENAI_KEY)}"


# --- what is not ---


@pytest.mark.parametrize(
    ("of", "pasted", "words"),
    [
        (OPENAI_KEY, "", "empty"),
        (OPENAI_KEY, " \n\t ", "empty"),
        (OPENAI_KEY, "sk-one two", "space in the middle"),
        (OPENAI_KEY, "sk-one\nsk-two", "line break in the middle"),
        (OPENAI_KEY, "sk-one\ttwo", "space in the middle"),
        (OPENAI_KEY, json.dumps(BEDROCK), "JSON document"),
        (OPENAI_KEY, PEM, "certificate or a private key"),
        (OPENAI_KEY, f'"{PLAIN}"', "quotes"),
        (OPENAI_KEY, f"'{PLAIN}'", "quotes"),
        (OPENAI_KEY, f"\u201c{PLAIN}\u201d", "quotes"),
        (OPENAI_KEY, "sk-\u200babc", "character that no key has"),
        (OPENAI_KEY, "sk-\u00e4bc", "character that no key has"),
        (OPENAI_KEY, "sk-\x00abc", "character that no key has"),
        (BEDROCK_KEY, PLAIN, "JSON document that Bedrock needs"),
        (BEDROCK_KEY, "{", "JSON document that Bedrock needs"),
        (BEDROCK_KEY, "[]", "JSON document that Bedrock needs"),
        (BEDROCK_KEY, json.dumps("text"), "JSON document that Bedrock needs"),
        (BEDROCK_KEY, "[" * 100_000, "JSON document that Bedrock needs"),
        *((BEDROCK_KEY, json.dumps(without(BEDROCK, name)), f"`{name}` is missing") for name in BEDROCK),
        (BEDROCK_KEY, json.dumps(BEDROCK | {"region": " "}), "`region` is missing"),
        (BEDROCK_KEY, json.dumps(BEDROCK | {"region": 3}), "`region` is missing"),
        (VERTEX_KEY, json.dumps(ACCOUNT), "`project` is missing"),
        (VERTEX_KEY, json.dumps(VERTEX), "`service_account_json` is missing"),
        (
            VERTEX_KEY,
            json.dumps(VERTEX | {"access_token": "t", "service_account_json": ACCOUNT}),
            "this has both",
        ),
        (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": "{"}), "not a JSON document"),
        (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": [1]}), "not a JSON document"),
        *(
            (VERTEX_KEY, json.dumps(VERTEX | {"service_account_json": without(ACCOUNT, name)}), f"`{name}` is missing")
            for name in ("client_email", "private_key", "token_uri")
        ),
        (AZURE_KEY, "{", "JSON document that Azure needs"),
        (AZURE_KEY, "one two", "space in the middle"),
        *((AZURE_KEY, json.dumps(without(AZURE, name)), f"`{name}` is missing") for name in AZURE),
    ],
)  # fmt: skip
def test_a_mistake_is_said_in_a_sentence(of, pasted, words):
    sentence = refusal(pasted, of)

    assert words in sentence
    assert sentence.endswith(".")


FIXED = Path(module.__file__).read_text(encoding="utf-8")
KEYS = [OPENAI_KEY, BEDROCK_KEY, VERTEX_KEY, AZURE_KEY]
bits = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), min_size=1, max_size=30)
documents = st.dictionaries(
    st.sampled_from(["access_key_id", "region", "project", "service_account_json", "access_token", "tenant_id"]) | bits,
    bits | st.none() | st.integers(),
    max_size=4,
)
pasted_values = (
    bits
    | st.builds("{} {}".format, bits, bits)
    | st.builds('"{}"'.format, bits)
    | st.builds("-----BEGIN {}".format, bits)
    | st.builds("{{{}".format, bits)
    | documents.map(json.dumps)
    | documents.map(lambda d: json.dumps(VERTEX | {"service_account_json": d}))
)


@given(st.sampled_from(KEYS), pasted_values)
def test_no_sentence_repeats_four_characters_of_the_secret(of, pasted):
    try:
        checked(pasted, of)
    except BadInput as refused:
        sentence = str(refused)
    else:
        reject()
    runs = {pasted[start : start + 4] for start in range(len(pasted) - 3)}

    assert [run for run in runs if run in sentence and run not in FIXED and run not in of.provider] == []


@given(st.sampled_from(KEYS), pasted_values)
def test_whatever_is_pasted_is_taken_trimmed_or_refused_with_a_sentence(of, pasted):
    try:
        taken = checked(pasted, of).get_secret_value()
    except BadInput as refused:
        said = str(refused)
    else:
        said = "This."
        assert taken == pasted.strip()

    assert re.fullmatch(r"(This|Vertex|The)\b.*\.", said)


# --- the look of a secret ---


SECRETS = [
    PLAIN,
    "sk-ant-api03-AbCdEf0123456789-_x",
    "sk-0123456789abcdefghijklmnopqrstuv",
    "sk_live_0123456789abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA0123456789abcdefghijklmnopqrstu",
    "xoxb-123456789012-abcdefghijkl",
    "xapp-1-A0123-456-abcdef",
    "ghp_0123456789abcdefghij0123456789abcdef",
    "hf_0123456789abcdefghij",
    "gsk_0123456789abcdefghijkl",
    "ya29.a0AfH6SMBx0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
    PEM,
    json.dumps(BEDROCK),
    json.dumps(AZURE),
    json.dumps(ACCOUNT),
    "api_key=abc",
    f"please rotate {PLAIN} now",
]
LONG_SECRETS = [
    "0123456789abcdef0123456789abcdef",
    "wJalrXUtnFEMI0K7MDENGbPxRfiCYEXAMPLEKEY",
    "b7f0c1e2d3a4958677869504a3b2c1d0",
]
NAMES = [
    "OpenAI production",
    "openai-production-eu",
    "OpenAI production (2026-11-23 rabc123)",
    "anthropic-prod-2",
    "Azure GPT-4o West Europe 2",
    "sk-team",
    "task-force key",
    "risk-analysis-openai-key",
    "Bedrock eu-west-1 (fallback)",
    "vertex_europe_west1",
    "Mask-R-CNN",
    "desk-support-assistant-key",
    "pk_7f3a",
    "key_0123456789abcdef01234567",
    "deepseek-v3",
    "Kundenservice Übersetzung 2",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "7C9E6679-7425-40DE-944B-E07FC1F90AE7",
    "status",
    "",
]


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_what_only_a_secret_begins_with_is_surely_one(text):
    assert is_surely_secret(text)


@pytest.mark.parametrize("text", LONG_SECRETS, ids=range(len(LONG_SECRETS)))
def test_a_long_run_of_letters_and_digits_may_be_a_secret(text):
    assert may_be_secret(text)


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_not_taken_for_a_secret(text):
    assert not is_surely_secret(text)
    assert not may_be_secret(text)


@given(st.uuids())
def test_the_id_of_a_key_is_never_taken_for_a_secret(uuid):
    assert not is_surely_secret(str(uuid))
    assert not may_be_secret(str(uuid))


@given(st.text(alphabet="ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789", min_size=20, max_size=60))
def test_a_key_of_openai_is_always_surely_secret(tail):
    assert is_surely_secret(f"sk-{tail}")
    assert is_surely_secret(f"sk-proj-{tail}")


@given(st.text(max_size=200))
def test_looking_at_text_never_fails(text):
    is_surely_secret(text)
    may_be_secret(text)


@pytest.mark.parametrize("text", ['sk-Zq7"vK\\w2Hx!pLm9&Rt4', "hf_a1b2.c3d4!e5f6#g7h8"])
def test_a_prefix_gives_a_secret_away_whatever_marks_are_in_it(text):
    assert is_surely_secret(text)


@pytest.mark.parametrize("text", ["hf-inference.endpoints-eu (spare)", "sk-production/openai.embeddings"])
def test_a_prefix_before_words_is_a_name(text):
    assert not is_surely_secret(text)
