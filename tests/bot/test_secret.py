"""The shape of a secret, and the look of one where none belongs."""

import json
import re
from base64 import encodebytes
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.rotation import documents, families, pastes, secret
from bot.rotation.errors import BadInput
from bot.rotation.families import exchanges_tokens, family
from bot.rotation.secret import checked, is_surely_secret, may_be_secret, shares_a_piece
from tests.bot.values import key

PLAIN = "sk-proj-0123456789abcdefABCDEF"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\nhkiG9w0BAQEF\n-----END PRIVATE KEY-----\n"
ACCOUNT = {
    "type": "service_account",
    "client_email": "bot@p.iam.gserviceaccount.com",
    "private_key": PEM,
    "token_uri": "https://oauth2.googleapis.com/token",
    "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
    "client_x509_cert_url": "https://www.googleapis.com/robot/v1/metadata/x509/bot",
    "universe_domain": "googleapis.com",
}
AWS_SECRET = "wJalrXUtnFEMI0K7MDENG/bPxRfiCYzRs+TuVwXy"
CLIENT, TENANT = "7c9e6679-7425-40de-944b-e07fc1f90ae7", "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
CLIENT_SECRET = "Abc8Q~d...fGhIjKlMnOpQrStUvWxYz0123456_-"
BEDROCK = {"access_key_id": "AKIA0123456789ABCDEF", "secret_access_key": AWS_SECRET, "region": "eu-west-1"}
VERTEX = {"project": "p", "region": "europe-west1"}
GOOGLE = VERTEX | {"service_account_json": ACCOUNT}
AZURE = {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": CLIENT_SECRET}

OPENAI_KEY = key(provider="openai")
BEDROCK_KEY = key(provider="amazon-bedrock")
VERTEX_KEY = key(provider="google-vertex")
AZURE_KEY = key(provider="azure")
ANY_KEY = key(provider="my-llm", settings={"adapter": "openai"})
"""Of an upstream of one's own: any word may be its key."""


def without(document: dict, field: str) -> dict:
    return {name: value for name, value in document.items() if name != field}


def refusal(pasted: str, of=OPENAI_KEY, own=()) -> str:
    with pytest.raises(BadInput) as caught:
        checked(pasted, of, own)
    assert caught.value.field == "secret"
    return str(caught.value)


@pytest.mark.parametrize(
    ("provider", "adapter", "expected"),
    [
        ("openai", "", None),
        ("amazon-bedrock", "", "bedrock"),
        ("azure", "", "azure"),
        ("mine", "azure-openai", "azure"),
        ("amazon-bedrock", "openai", None),
        ("openai", "bedrock", "bedrock"),
        ("amazon-bedrock", "an-adapter-of-tomorrow", "bedrock"),
    ],
)
def test_the_adapter_tells_the_family_and_the_provider_where_there_is_none(provider, adapter, expected):
    assert family(key(provider=provider, settings={"adapter": adapter})) == expected


@pytest.mark.parametrize(("adapter", "exchanges"), [("", True), ("vertex", True), ("openai", False)])
def test_a_vertex_label_exchanges_tokens_only_if_the_adapter_does(adapter, exchanges):
    assert exchanges_tokens(key(provider="google-vertex", settings={"adapter": adapter})) is exchanges


# --- what is taken ---

HEX = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
LETTERS = "Ab3dEf6hIj9lMn2pQr5tUv8xYz1BcD4fGhK7mNoPqRsTuVwXyZ0aJiLkWe5QvH2s"
GOOD = {
    "openai project": f"sk-proj-{LETTERS}-_{LETTERS[:8]}T3BlbkFJ{LETTERS}_-{LETTERS[8:16]}",
    "gemini": f"AIza{LETTERS[:33]}-_",
    "a token of google": f"ya29.a0{LETTERS}-_{LETTERS}",
    "azure": HEX,
    "bedrock": f"ABSK{LETTERS}{LETTERS}=",
    "baidu": f"bce-v3/ALTAK-{LETTERS[:21]}/{HEX}{HEX[:8]}",
    "fal": f"{TENANT}:{HEX}",
    "vllm": "EMPTY",
    "a password of marks": "p#9$Kz!q7(Lm)&x@v^Tn*R%w;d,>s<+",
    "a password that begins with a brace": "{p#9$Kz!q7(Lm)&x",
    "base64, to be put into an address": "-a_BcdEfGhijKLmnOpqrs1Tuv2wxY3z4A==",
    "a name with an equals sign": "abc_key==",
}


@pytest.mark.parametrize("name", GOOD)
@pytest.mark.parametrize("of", [OPENAI_KEY, ANY_KEY], ids=["openai", "my own"])
def test_a_key_of_any_provider_is_taken_as_it_is(of, name):
    assert checked(GOOD[name], of).get_secret_value() == GOOD[name]


@pytest.mark.parametrize(
    ("of", "pasted"),
    [
        (key(provider="amazon-bedrock", settings={"adapter": "openai"}), GOOD["bedrock"]),
        (key(provider="google-vertex", settings={"adapter": "openai"}), GOOD["a token of google"]),
        (AZURE_KEY, GOOD["azure"]),
        (key(provider="openai", settings={"adapter": "bedrock"}), json.dumps(BEDROCK)),
        (BEDROCK_KEY, json.dumps(BEDROCK | {"access_key_id": "ASIA0123456789ABCDEF", "session_token": "t=="})),
        (BEDROCK_KEY, json.dumps(BEDROCK | {"session_token": None, "note": "un mot où rien ne manque"})),
        (VERTEX_KEY, json.dumps(VERTEX | {"access_token": "ya29.x", "service_account_json": None})),
        (VERTEX_KEY, json.dumps(GOOGLE, indent=2)),
        (VERTEX_KEY, json.dumps(GOOGLE | {"service_account_json": ACCOUNT | {"private_key": PEM.replace("\n", "")}})),
        (AZURE_KEY, json.dumps(AZURE | {"tenant_id": "contoso.onmicrosoft.com"})),
        (AZURE_KEY, json.dumps(AZURE | {"authority_host": "https://login.microsoftonline.us/"})),
        (AZURE_KEY, json.dumps(AZURE | {"authority_host": ""})),
    ],
)
def test_a_secret_of_its_adapters_shape_is_taken_as_it_is(of, pasted):
    assert checked(pasted, of).get_secret_value() == pasted


SLIPS = {
    "empty": ["", " \n\t "],
    "space in the middle": ["sk-one two", "sk-one\u00a0two"],
    "line break in the middle": ["sk-one\nsk-two", f"{PLAIN}\r\n{PLAIN}"],
    "in quotes": [f'"{PLAIN}"', f"'{PLAIN}',", f"`{PLAIN[:9]}", f"\u201c{PLAIN}\u201d"],
    "ends with a quote, a comma or another mark": [f"{PLAIN}{end}" for end in ('"', '",', ";", '")', "\\n", "\u201d")],
    "whole line": [
        *(f"{name}={PLAIN}" for name in ("export OPENAI_API_KEY", "apiKey", "--api-key")),
        *(f"{name}{PLAIN}" for name in ("- api-key: ", '$env:OPENAI_API_KEY="', '"api_key": "', "k:")),
    ],
    "whole header": [f"{name}{PLAIN}" for name in ("bearer ", '-H "Authorization: Bearer ', "x-goog-api-key: ")],
    "whole command": [f'curl x -H "Authorization: Bearer {PLAIN}"', f"--key {PLAIN}", f"export X = {PLAIN[3:]}"],
    "masked or cut short": [
        *("sk-\u2026abcd", "sk-proj-abc***xyz", "sk-...wxyz", "sk-proj-0123...", "\u2022" * 12, "XXXXXXXXXXXXXXXX"),
    ],
    "placeholder": ["<your-api-key>", "[YOUR KEY]", "paste-your-key-here", "OPENAI_API_KEY", "sk-REDACTED"],
    "variable": [
        *(
            "${KEY}",
            "%OPENAI_API_KEY%",
            "{{ KEY }}",
            "`cat k`",
            "$(cat k)",
            "$env:KEY",
            "process.env.KEY",
            "os.environ['K']",
        ),
    ],
    "address": ["https://platform.openai.com/api-keys", "op://vault/item/field"],
    "name of a file": ["~/.openai/key", "/run/secrets/openai", "service-account.json", "C:\\Users\\me\\key"],
    "e-mail": ["bot@p.iam.gserviceaccount.com"],
    "token of Slack": ["xoxb-1234-5678-abcdef", "xapp-1-A0-1-abc", "xoxe.xoxp-1-abc"],
    "admin key of OpenAI": [f"sk-admin-{LETTERS[:20]}T3BlbkFJ{LETTERS[20:40]}"],
    "admin key of Anthropic": [f"sk-ant-admin01-{LETTERS}AA"],
    "only the id of an AWS access key": ["AKIA0123456789ABCDEF", "ASIA0123456789ABCDEF"],
    "JSON document": [json.dumps(BEDROCK), json.dumps(GOOGLE), "{", "\ufeff{}"],
    "certificate or a private key": [PEM, "-----BEGIN CERTIFICATE-----"],
    "invisible character": ["sk-\u200babc", f"\ufeff{PLAIN}", f"{PLAIN}\u200b", "sk-\x00abc"],
    "long dash": ["sk\u2013proj\u2013abc"],
    "character that no key has": ["sk-\u00e4bc", "\u0455k-abc", "sk-\U0001f511"],
    "twice": [PLAIN * 3 + PLAIN, (HEX + "a") * 2],
    "what the key is called in AISIX": ["pk_old", "OpenAI production"],
}


@pytest.mark.parametrize("pasted", [(words, text) for words, texts in SLIPS.items() for text in texts])
@pytest.mark.parametrize("of", [OPENAI_KEY, ANY_KEY], ids=["openai", "my own"])
def test_a_paste_that_is_surely_no_key_is_told_what_it_is(of, pasted):
    words, text = pasted
    sentence = refusal(text, of)

    assert words in sentence
    assert sentence.endswith(".")


@pytest.mark.parametrize("of", [OPENAI_KEY, BEDROCK_KEY, AZURE_KEY], ids=["plain", "document", "either"])
def test_a_secret_of_keyturns_own_is_never_sent_to_a_provider(of):
    own = (SecretStr("admin-token-of-aisix"), SecretStr(PLAIN))

    assert "Keyturn's own settings" in refusal(f" {PLAIN}\n", of, own)
    assert PLAIN not in refusal(PLAIN, of, own)


# --- a document that is none ---

MOST = 300
"""Characters of a sentence at a field that one reads."""

ESCAPED = json.dumps(json.dumps(BEDROCK))
FILE = json.dumps(ACCOUNT)
STRETCHED = json.dumps(GOOGLE, indent=2)


def changed(document: dict, **fields) -> str:
    return json.dumps(document | fields, ensure_ascii=False)


def of_account(**fields) -> str:
    return changed(GOOGLE, service_account_json=ACCOUNT | fields)


MISTAKES = [
    (BEDROCK_KEY, PLAIN, "JSON document that Bedrock needs"),
    (BEDROCK_KEY, "[" * 100_000, "JSON document that Bedrock needs"),
    *((of, json.dumps(without(whole, name)), f"`{name}` is missing") for of, whole in
      ((BEDROCK_KEY, BEDROCK), (AZURE_KEY, AZURE), (VERTEX_KEY, GOOGLE)) for name in whole),
    (VERTEX_KEY, changed(GOOGLE, access_token="t"), "this has both"),
    (VERTEX_KEY, changed(VERTEX, service_account_json=[1]), "not a JSON document"),
    *(
        (VERTEX_KEY, changed(VERTEX, service_account_json=without(ACCOUNT, name)), f"has no `{name}`")
        for name in ("client_email", "private_key", "token_uri")
    ),
    (VERTEX_KEY, FILE, "This is Google's key file alone"),
    (VERTEX_KEY, '{"installed": {"client_secret": "x"}}', "no key file of a Google service account"),
    (VERTEX_KEY, of_account(type="external_account"), "no key file of a Google service account"),
    (VERTEX_KEY, changed(VERTEX, service_account_json=FILE), "is text"),
    (VERTEX_KEY, PEM, "only the private key"),
    (VERTEX_KEY, "ya29.abcdef", "access token alone"),
    (VERTEX_KEY, GOOD["gemini"], "API key of Google"),
    (BEDROCK_KEY, GOOD["bedrock"], "API key of Bedrock"),
    (BEDROCK_KEY, AWS_SECRET, "half of an access key"),
    (BEDROCK_KEY, json.dumps(AZURE), "a document of Azure"),
    (BEDROCK_KEY, "xoxb-1234-5678-abcdef", "token of Slack"),
    (BEDROCK_KEY, f"\ufeff{json.dumps(BEDROCK)}", "(BOM)"),
    *((BEDROCK_KEY, text, "inside quotes, with a backslash") for text in (ESCAPED, ESCAPED[1:-1])),
    (VERTEX_KEY, encodebytes(STRETCHED.encode()).decode(), "base64"),
    (BEDROCK_KEY, "[default]\naws_access_key_id = AKIA0123456789ABCDEF", "lines of a settings file"),
    (BEDROCK_KEY, json.dumps(BEDROCK) * 2, "same document twice"),
    (BEDROCK_KEY, f"{json.dumps(BEDROCK)}\n{changed(BEDROCK, region='us')}", "after the end"),
    (BEDROCK_KEY, json.dumps(BEDROCK).replace('"', "&quot;"), "&quot;"),
    (BEDROCK_KEY, json.dumps(BEDROCK).replace('"', "\u201d"), "curly quotes"),
    (BEDROCK_KEY, json.dumps(BEDROCK, indent=1).replace("\n ", "\n\u00a0"), "an unusual space"),
    (BEDROCK_KEY, str(BEDROCK), "single quotes"),
    (BEDROCK_KEY, json.dumps(BEDROCK).replace("}", ",}"), "a comma after its last field"),
    (VERTEX_KEY, STRETCHED.replace("\\n", "\n"), "real line break"),
    (BEDROCK_KEY, json.dumps(BEDROCK, indent=1).replace("\n", "\n// mine\n", 1), "comments"),
    (BEDROCK_KEY, "{access_key_id: 1}", "no quotes"),
    (VERTEX_KEY, STRETCHED[:-2], "cut off"),
    (BEDROCK_KEY, '{"AccessKey": {"AccessKeyId": "AKIA1", "SecretAccessKey": "x"}}', "`AccessKeyId` has to be called"),
    (BEDROCK_KEY, changed(BEDROCK, region=" "), "`region` is empty"),
    (BEDROCK_KEY, changed(BEDROCK, region=3), "`region` has to be text"),
    (BEDROCK_KEY, changed(BEDROCK, access_key_id=" AKIA0123456789ABCDEF"), "begins or ends with a space"),
    (BEDROCK_KEY, changed(BEDROCK, secret_access_key="a b"), "`secret_access_key` has a space"),
    (BEDROCK_KEY, changed(BEDROCK, secret_access_key="a\u200bb"), "`secret_access_key` has an invisible"),
    (VERTEX_KEY, changed(VERTEX, access_token="ya29.\u00e4"), "`access_token` has a character that no such value has"),
    (AZURE_KEY, changed(AZURE, client_secret="${SECRET}"), "`client_secret` names a variable"),
    (AZURE_KEY, changed(AZURE, client_secret="<your-secret>"), "`client_secret` is a placeholder"),
    (BEDROCK_KEY, changed(BEDROCK, secret_access_key="\u2026"), "`secret_access_key` is masked"),
    (BEDROCK_KEY, changed(BEDROCK, access_key_id="'AKIA0123456789ABCDEF'"), "has quotes inside its quotes"),
    (BEDROCK_KEY, changed(BEDROCK, access_key_id=AWS_SECRET, secret_access_key="AKIA0123456789ABCDEF"), "are swapped"),
    (AZURE_KEY, changed(AZURE, client_id=CLIENT_SECRET, client_secret=CLIENT), "are swapped"),
    (AZURE_KEY, changed(AZURE, client_secret=TENANT), "`client_secret` is the id of a secret"),
    (BEDROCK_KEY, changed(BEDROCK, access_key_id="ASIA0123456789ABCDEF"), "needs its `session_token`"),
    (AZURE_KEY, changed(AZURE, authority_host="https://x/tenant"), "`authority_host` has to be"),
    (VERTEX_KEY, of_account(private_key=PEM.replace("\n", "\\n")), "two backslashes"),
    (VERTEX_KEY, of_account(private_key=None), "is none as Google writes it"),
    *((VERTEX_KEY, of_account(private_key=PEM.replace(*other)), "cut off or was changed")
      for other in (("MII", "MI"), ("PRIVATE KEY", "CERTIFICATE"))),
    (AZURE_KEY, f"{PLAIN}\u200b", "invisible character"),
]  # fmt: skip


@pytest.mark.parametrize(("of", "pasted", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_in_a_document_is_named(of, pasted, words):
    sentence = refusal(pasted, of)

    assert words in sentence
    assert sentence.endswith(".")
    assert len(sentence) <= MOST


def test_no_sentence_of_keyturn_looks_like_a_secret():
    refused = [*((OPENAI_KEY, text) for texts in SLIPS.values() for text in texts), *(row[:2] for row in MISTAKES)]
    told = {said for of, text in refused if (said := said_of(text, of))}

    assert len(told) > 60
    assert [said for said in told if is_surely_secret(said) or may_be_secret(said)] == []


OURS = "\n".join(Path(module.__file__).read_text(encoding="utf-8") for module in (secret, pastes, documents, families))
PARTS = json.dumps(GOOGLE), json.dumps(BEDROCK), json.dumps(AZURE), STRETCHED, ESCAPED, PLAIN, str(BEDROCK), FILE
KEYS = [OPENAI_KEY, ANY_KEY, BEDROCK_KEY, VERTEX_KEY, AZURE_KEY]
bits = st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=255), min_size=1, max_size=30)
values = st.text(st.sampled_from("AKIAsk-_/+=~.*x$<>{}'\" \n\u200b\u201c09"), max_size=40) | bits
fields = st.sampled_from([*BEDROCK, *GOOGLE, *AZURE, *ACCOUNT, "access_token", "session_token", "authority_host"])
documents_pasted = st.builds(
    lambda document, more: json.dumps(document | more),
    st.sampled_from([BEDROCK, GOOGLE, AZURE, ACCOUNT, {}]),
    st.dictionaries(fields, values | st.none() | st.integers(), max_size=4),
)
cut = st.builds(
    lambda text, at, put, skip: text[:at] + put + text[at + skip :],
    *(st.sampled_from(PARTS), st.integers(0, 400), values, st.integers(0, 60)),
)


def said_of(pasted: str, of) -> str | None:
    """Return what is said of a paste; None if it is taken, as it was but for the white space around it."""
    try:
        taken = checked(pasted, of).get_secret_value()
    except BadInput as refused:
        return str(refused)
    assert taken == pasted.strip()
    return None


@given(st.sampled_from(KEYS), bits | values | cut | documents_pasted)
def test_whatever_is_pasted_is_taken_or_refused_with_one_short_sentence_that_repeats_no_piece_of_it(of, pasted):
    sentence = said_of(pasted, of)
    if sentence is None:
        return

    assert re.match(r"(This|These|The|A|Something|Vertex) |`\w+` ", sentence)
    assert sentence.endswith(".")
    assert len(sentence) <= MOST
    runs = {pasted[start : start + 8] for start in range(len(pasted) - 7)}
    assert [run for run in runs if run in sentence and run not in OURS and run not in of.provider] == []


@pytest.mark.parametrize(
    ("secret", "text", "shared"),
    [
        (PLAIN, f"for {PLAIN[5:13]}", True),
        (PLAIN, f"for {PLAIN[5:12]}", False),
        (json.dumps(BEDROCK), "eu-west-1 is moved", False),
        (json.dumps(BEDROCK), f"it ends in {AWS_SECRET[-8:]}", True),
        (json.dumps(GOOGLE), "for bot@p.iam.gserviceaccount.com in europe-west1", False),
        (json.dumps(GOOGLE), f"with {PEM[40:48]}", True),
        (json.dumps(GOOGLE), "https://issues.example/412345 at googleapis.com", False),
        (json.dumps(AZURE | {"authority_host": "https://login.example"}), "https://issues.example/412345", False),
        (json.dumps(AZURE | {"more": [PLAIN]}), f"for {PLAIN[5:13]}", True),
        ("{not-a-document", "{not-a-d", True),
    ],
)
def test_a_piece_of_a_secret_is_found_in_a_text_and_the_region_of_a_document_is_none(secret, text, shared):
    assert shares_a_piece(text, SecretStr(secret)) is shared


# --- the look of a secret ---


SECRETS = [
    PLAIN,
    "ASIAIOSFODNN7EXAMPLE",
    "AIzaSyA0123456789abcdefghijklmnopqrstu",
    "xapp-1-A0123-456-abcdef",
    "gsk_0123456789abcdefghijkl",
    "ya29.a0AfH6SMBx0123456789",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.x",
    PEM,
    json.dumps(BEDROCK),
    "api_key=abc",
    f"please rotate {PLAIN} now",
    'sk-Zq7"vK\\w2Hx!pLm9&Rt4',
]
NAMES = [
    "OpenAI production (2026-11-23 rabc123)",
    "pk_0123456789abcdef01234567",
    "key_0123456789abcdef01234567",
    "Kundenservice Übersetzung 2",
    "3f2504e0-4f89-11d3-9a0c-0305e82c3301",
    "hf-inference.endpoints-eu (spare)",
    "team/openai/production/2",
    "OpenAI api_key: production",
    "sk-production/openai.embeddings",
    "https://github.com/example/keys/issues/412345",
    "",
]


@pytest.mark.parametrize("text", SECRETS, ids=range(len(SECRETS)))
def test_what_only_a_secret_begins_with_is_surely_one(text):
    assert is_surely_secret(text)


@pytest.mark.parametrize("text", ["0123456789abcdef0123456789abcdef", "wJalrXUtnFEMI0K7MDENGbPxRfiCYEXAMPLEKEY"])
def test_a_long_run_of_letters_and_digits_may_be_a_secret(text):
    assert may_be_secret(text)


@pytest.mark.parametrize("text", NAMES)
def test_a_name_is_not_taken_for_a_secret(text):
    assert not is_surely_secret(text)
    assert not may_be_secret(text)
