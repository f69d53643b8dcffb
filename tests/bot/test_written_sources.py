"""`SECRET_SOURCES` as people write it, and what is said of each mistake."""

import json
from typing import Any

import pytest

from bot.check import Level
from bot.check.sources import sources, tries
from bot.rotation.errors import ApiError
from bot.rotation.references import Allowance, Kind, Reference, Sourced, allowed, prefix_of
from bot.settings import Settings, WrongSettings, read_settings
from tests.bot.test_settings import GOOD
from tests.bot.values import key

VAULT = {"url": "https://vault.example", "role_id": "r", "secret_id": "s-CANARY"}
AWS = {"region": "eu-central-1"}
FILE = {"folder": "/run/secrets/keyturn"}
ALLOW = {"references": ["vault:kv/openai"], "providers": ["openai"]}


def settings_of(written: dict[str, Any]) -> Settings:
    return read_settings(None, GOOD | {"SECRET_SOURCES": json.dumps(written)})


def test_all_that_can_be_written_is_taken():
    also = {"references": ["aws-sm:prod", "file:openai", "vault-wrapped"], "keys": ["*"]}
    settings = settings_of({"vault": VAULT, "aws-sm": AWS, "file": FILE, "allow": [ALLOW, also]})

    assert settings.secret_sources
    found = allowed(key("pk_old").but(provider="openai"), settings.secret_sources.allowances)
    assert [*map(str, found)] == [*ALLOW["references"], *also["references"]]
    assert "s-CANARY" in {one.get_secret_value() for one in settings.secrets}
    assert "CANARY" not in repr(settings)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ({"vualt": VAULT}, "has no field vualt: did you mean vault?"),
        ({"vault": VAULT | {"ulr": "x"}}, "has no field ulr (at vault): did you mean url?"),
        ({"vault": {"role_id": "r", "secret_id": "s"}}, "is wrong (at vault.url)"),
        ({"vault": VAULT | {"url": "https://me:pw@vault"}}, "is wrong (at vault.url)"),
        ({"vault": VAULT | {"login": "a/../b"}}, "is wrong (at vault.login)"),
        ({"vault": {"url": "https://v"}}, "(at vault): name one identity: role_id, kubernetes_role or token_file."),
        ({"vault": VAULT | {"kubernetes_role": "k"}}, "name one identity"),
        ({"vault": VAULT | {"secret_id_file": "/f"}}, "role_id needs either secret_id or secret_id_file"),
        ({"vault": {"url": "https://v", "token_file": "/t", "secret_id": "s"}}, "and nothing else does"),
        ({"aws-sm": {"region": "evil.example/"}}, "is wrong (at aws-sm.region)"),
        ({"file": {"folder": "secrets"}}, "(at file.folder): the folder should be a whole path"),
        ({"file": {"folder": "/"}}, "(at file.folder): the folder should be a whole path"),
        ({"vault": VAULT, "allow": [ALLOW | {"reference": []}]}, "did you mean references?"),
        ({"vault": VAULT, "allow": [{"references": ["vault:kv/x"]}]}, "(at allow.0): name providers or keys that may"),
        ({"vault": VAULT, "allow": [ALLOW | {"references": []}]}, "is wrong (at allow.0.references)"),
        ({"allow": [ALLOW]}, "allow names vault, and vault is not described."),
        ({"aws-sm": AWS, "allow": [ALLOW | {"references": ["vault-wrapped"]}]}, "and vault is not described."),
        *(
            ({"vault": VAULT, "allow": [ALLOW | {"references": [prefix]}]}, "a prefix looks like vault:mount/path")
            for prefix in ("vault:", "vault", "kv/x", "vault:kv/", "vault:../x", "vault:kv/*", "VAULT:kv", "env:kv", "")
        ),
        (
            {"vault": {"url": "https://v", "role_id": "r", "secret_id_file": "/run/secrets/keyturn/id"}, "file": FILE},
            "the bot's own identity is in the folder of file: a reference could read it.",
        ),
    ],
)  # fmt: skip
def test_each_mistake_has_its_sentence(written, said):
    with pytest.raises(WrongSettings) as wrong:
        settings_of(written)

    assert str(wrong.value).startswith("SECRET_SOURCES ")
    assert said in str(wrong.value)
    assert "CANARY" not in str(wrong.value)


class Known:
    """A store that knows the bot, or does not."""

    def __init__(self, error: ApiError | None = None) -> None:
        self.error = error

    async def read(self, _: Reference) -> Sourced:
        raise AssertionError("the check reads no secret")

    async def tried(self) -> str:
        if self.error:
            raise self.error
        return "it knows the bot as keyturn"


async def test_the_check_uses_each_identity_and_names_what_is_allowed():
    refused = ApiError("AWS does not take the bot's identity (403).")
    one = Allowance(prefixes=(prefix_of("vault:kv/openai"), prefix_of("vault-wrapped")), providers=("openai",))
    found = await sources({Kind.VAULT: Known(), Kind.AWS: Known(refused)}, (one, one.but(keys=("a", "b"))))

    assert [(each.level, each.said) for each in found] == [
        (Level.OK, "vault: it knows the bot as keyturn."),
        (Level.WRONG, "SECRET_SOURCES, aws-sm: AWS does not take the bot's identity (403)."),
        (Level.OK, "vault:kv/openai, vault-wrapped may be read for keys of openai."),
        (Level.OK, "vault:kv/openai, vault-wrapped may be read for keys called a, b of openai."),
    ]


async def test_the_check_says_that_a_store_without_what_is_allowed_is_of_no_use(tmp_path):
    (attempt,) = tries(settings_of({"file": {"folder": str(tmp_path)}}))
    said = [(each.level, each.about, each.said) for each in await attempt.findings()]

    assert said == [
        (Level.OK, "secret sources", "file: the folder is there."),
        (Level.WARN, "secret sources", "no reference is taken: SECRET_SOURCES has nothing under allow."),
    ]
    assert tries(read_settings(None, GOOD)) == []
