"""SECURITY.md says what is true: of Redis, of the scopes, of the settings and buttons that it names."""

import re
from pathlib import Path

import yaml
from redis import Redis

from bot.rotation.actions import Action
from bot.settings import Settings
from tests.support.stage import Stage

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
TABLE = PAGE.split("## What Redis holds")[1].split("\n## ")[0]
KINDS = set(re.findall(r"`(?:keyturn:T…-1a2b3c4d|…):([a-z]+)(?::…)?`", TABLE))


async def test_every_key_in_redis_is_of_a_kind_that_the_page_names(stage: Stage) -> None:
    card = await stage.ask()
    await stage.give(card)
    await stage.says(card, "waiting for an approver")
    await stage.press("Delete old key", card, who="U_APPROVER")
    await stage.thread_says(card, "Receipt")

    with Redis.from_url(stage.redis_url) as redis:
        found = sorted(key.decode() for key in redis.scan_iter())
    here = stage.namespace.prefix
    ours = {key.removeprefix(here).partition(":")[0] for key in found if key.startswith(here)}
    assert {"rotation", "all", "shown", "audit"} <= ours <= KINDS
    others = {key for key in found if not key.startswith((here, "saq:"))}
    assert others == {"keyturn:namespaces"}
    assert all(f"`{key}`" in TABLE for key in (*others, "saq:…"))


def test_every_kind_of_key_that_the_store_knows_is_on_the_page() -> None:
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "bot/storage").glob("*.py"))
    kinds = set(re.findall(r'\.key\("([a-z]+)"', code))

    assert {"rotation", "audit", "fingerprints", "lease", "edits"} <= kinds
    assert kinds == KINDS


def test_the_security_page_names_the_scopes_of_the_manifest() -> None:
    scopes = yaml.safe_load((ROOT / "manifest.yml").read_text(encoding="utf-8"))["oauth_config"]["scopes"]["bot"]
    said = PAGE.split("Its scopes are")[1].split(";")[0]

    assert set(re.findall(r"`([a-z:.]+)`", said)) == set(scopes)


def test_the_settings_and_buttons_of_the_security_page_exist() -> None:
    settings = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)*)`", PAGE)) - {"SSL_CERT_FILE", "S"}
    buttons = re.findall(r"\*\*((?:Cancel|Try again|Roll back|Delete old key|Accept unproved)[^*]*)\*\*", PAGE)

    assert settings <= {name.upper() for name in Settings.model_fields}
    assert {*buttons} <= {action.value for action in Action}
    assert len(settings) > 5
    assert len(buttons) == 5
