"""Links on a card: each opens what its reader needs next, and none leads where nobody said that anything is."""

from collections.abc import Sequence
from typing import Any

import pytest

from bot.rotation.record import Rotation
from bot.rotation.stops import Cause
from handlers.views.links import KEY_PAGES, Places, key_page, links
from tests.handlers import records as r
from tests.handlers.cases import PLACES, STOPS
from tests.support.documents import anchors

OLD, NEW = r.plan().old_key.id, r.completed().replacement_id
DASHBOARD = "https://aisix.example.com/provider-keys/"
OPENAI = KEY_PAGES["openai"].url


def urls(rotation: Rotation, places: Places = PLACES) -> list[str]:
    return [link["url"] for link in links(rotation, places)]


@pytest.mark.parametrize("cause", Cause)
def test_what_to_do_opens_the_section_of_that_stop(cause: Cause) -> None:
    said: dict[str, Any] = {"most": 1} | dict.fromkeys(
        ("why", "refusal", "field", "where", "how", "environments", "models", "lists", "changes", "users", "routes",
         "model", "error", "took", "reason", "trouble", "time", "note", "reference", "account", "provider", "name",
         "number"), "x")  # fmt: skip
    (guide,) = urls(r.stopped_by(cause, r.running("recheck"), **said), PLACES._replace(dashboard=""))
    page, _, anchor = guide.removeprefix(PLACES.docs).partition("#")

    assert anchor in anchors(f"docs/{page}")


@pytest.mark.parametrize(
    ("rotation", "expected"),
    [
        (r.awaiting_secret(), []),
        (r.running("verify"), []),
        (r.awaiting_approval(), [DASHBOARD + OLD]),
        (r.watched(), [OPENAI]),
        (r.watched(troubles=(r.trouble(),)), [f"{DASHBOARD}{NEW}"]),  # nobody revokes the way out of a trouble
        (r.watched(troubles=(r.trouble(), r.over())), [OPENAI]),
        (r.completed(), [OPENAI]),
        (r.completed(troubles=(r.trouble(),)), [f"{DASHBOARD}{NEW}"]),
        (r.rolled_back(), []),
        (r.cancelled(), []),
    ],
)
def test_a_card_links_to_what_its_reader_needs_next(rotation: Rotation, expected: Sequence[str]) -> None:
    assert urls(rotation) == expected


def test_without_settings_only_the_providers_own_page_is_known() -> None:
    moments = [*STOPS.values(), r.awaiting_approval(), r.completed()]

    assert {url for rotation in moments for url in urls(rotation, Places())} == {OPENAI}


def test_an_id_from_outside_stays_within_its_part_of_the_address() -> None:
    (url,) = urls(r.awaiting_approval(r.plan(old_key=r.key(id="../x?y=<z>|"))))

    assert url == f"{DASHBOARD}..%2Fx%3Fy%3D%3Cz%3E%7C"


@pytest.mark.parametrize(
    ("provider", "address", "known"),
    [
        ("openai", "", "OpenAI"),
        ("OpenAI", "https://api.openai.com/v1", "OpenAI"),
        ("anthropic", "https://API.anthropic.com", "Anthropic"),
        ("openrouter", "https://openrouter.ai/api/v1", "OpenRouter"),
        ("openai", "https://openai.azure.com", None),
        ("openai", "https://api.openai.com.example/v1", None),
        ("openai", "https://llm.example.com", None),
        ("openai", "http://[", None),
        ("my-openai", "", None),
        ("", "https://api.openai.com/v1", None),
    ],
)
def test_the_key_page_is_that_of_a_known_provider_on_its_own_host(provider, address, known) -> None:
    page = key_page(r.key(provider=provider, settings={"api_base": address} if address else {}))

    assert (page and page.name) == known
