"""Links out of a card: to the guide, to AISIX's dashboard, and to the provider's key page."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from bot.rotation.attention import is_watched, open_troubles
from bot.rotation.exposure import needing
from bot.rotation.inventory import ProviderKey
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.rotation.stops import GUIDE, guide_to
from bot.rotation.ticket import TicketPattern
from handlers.views.blocks import Block, actions, code, escaped, link_button, plain, section, visible

OPEN_GUIDE, OPEN_AISIX, OPEN_PROVIDER, OPEN_CARD = "open_guide", "open_aisix", "open_provider", "open_card"
OPEN_PAGE = "open_page"
LINKS = (OPEN_GUIDE, OPEN_AISIX, OPEN_PROVIDER, OPEN_CARD, OPEN_PAGE)
"""The action ids of the buttons that only open a page."""

KEY = "{key}"
"""What stands for a key's id in the dashboard's address."""


class Places(NamedTuple):
    """Where the settings say that pages are; nothing links to one of which they don't."""

    docs: str = ""
    """The folder with the documents, ending in a slash."""

    dashboard: str = ""
    tickets: TicketPattern | None = None


NOWHERE = Places()


class KeyPage(NamedTuple):
    """Where a provider's keys are revoked, and the host to which its keys belong."""

    name: str
    host: str
    url: str


KEY_PAGES: Mapping[str, KeyPage] = {
    "anthropic": KeyPage("Anthropic", "api.anthropic.com", "https://platform.claude.com/settings/keys"),
    "openai": KeyPage("OpenAI", "api.openai.com", "https://platform.openai.com/api-keys"),
    "openrouter": KeyPage("OpenRouter", "openrouter.ai", "https://openrouter.ai/settings/keys"),
}
"""By AISIX's word for the provider (facts/aisix.md 8)."""


def key_page(key: ProviderKey) -> KeyPage | None:
    """Return where *key* is revoked, or None if that is not known for sure: a host of its own may be anybody's."""
    page = KEY_PAGES.get(key.provider.casefold())
    return page if page and (not key.base_url or _host(key.base_url) == page.host) else None


def place_of(key: ProviderKey) -> str:
    """Name the provider at which *key* works: "OpenAI", or its address."""
    host = key.base_url.rpartition("://")[2].partition("/")[0].rpartition("@")[2]
    place = code(host or key.provider, 60) if host or key.provider else "the provider"
    page = key_page(key)
    return page.name if page else place


def _host(url: str) -> str:
    with suppress(ValueError):
        return urlsplit(url).hostname or ""
    return ""


def links(rotation: Rotation, places: Places) -> list[Block]:
    """Return the buttons that open what a person needs for the next move."""
    return list(_links(rotation, places))


def _links(rotation: Rotation, places: Places) -> Iterator[Block]:
    if places.docs and rotation.state is State.BLOCKED and rotation.stop:
        section = guide_to(rotation.stop.headline).removeprefix(GUIDE.rpartition("/")[0] + "/")
        yield link_button("What to do ↗", OPEN_GUIDE, f"{places.docs}{section}")
    if places.dashboard and _needs_look(rotation):
        yield link_button("Open in AISIX", OPEN_AISIX, places.dashboard.replace(KEY, quote(_key(rotation), safe="")))
    if page := revoked_at(rotation):
        yield link_button(f"Open {page.name}'s key page ↗", OPEN_PROVIDER, page.url)


def ticket(rotation: Rotation, places: Places) -> str:
    """Show the ticket as a link; as plain text where it opens nothing, as one that was given before the pattern."""
    url = places.tickets.link(rotation.ticket) if places.tickets else ""
    return f"<{escaped(url)}|{escaped(visible(rotation.ticket))}>" if url else code(rotation.ticket)


def motive(rotation: Rotation, places: Places, most: int = 120) -> str:
    """Show the reason and the ticket in one line; empty if neither was given."""
    why = [code(rotation.why, most)] if rotation.why else []
    return " · ".join([*why, *([ticket(rotation, places)] if rotation.ticket else [])])


def _needs_look(rotation: Rotation) -> bool:
    return rotation.state in (State.BLOCKED, State.AWAITING_START, State.AWAITING_APPROVAL) or bool(
        open_troubles(rotation)
    )


def revoked_at(rotation: Rotation) -> KeyPage | None:
    """Return the page where a credential is to be revoked next; None while something fails.

    Both keys of a rotation are of one provider.
    """
    is_next = rotation.is_owed if rotation.revocation else is_watched(rotation) or rotation.state is State.COMPLETED
    fails = open_troubles(rotation) or rotation.state is State.BLOCKED
    is_early = rotation.exposed is not None and needing(rotation) > 0
    return key_page(rotation.plan.old_key) if is_next and not (fails or is_early) else None


def _key(rotation: Rotation) -> str:
    """Return the key to look at: the new one once the old one is gone."""
    gone = rotation.plan.old_key_gone or rotation.deleted_at
    return (rotation.replacement_id if gone else None) or rotation.plan.old_key.id


SIGN_IN = (
    "Approving takes a sign-in at your company. The link opens Keyturn's page, which asks you to sign in, and then "
    "shows what you approve. It is for you alone, works once, and ends after ten minutes."
)


def sign_in(link: str) -> list[Block]:
    """Give a person their link: as a button, of which Slack makes no preview."""
    return [section(SIGN_IN), *actions([link_button("Sign in and approve ↗", OPEN_PAGE, link)])]


GIVE = (
    "The new secret goes onto a page of Keyturn, so that Slack does not see it. The link asks you to sign in at your "
    "company first. It is for you alone, works once, and ends after ten minutes."
)


def give_secret(link: str) -> list[Block]:
    """Give a person their link to the page of the new secret, in the same way."""
    return [section(GIVE), *actions([link_button("Sign in and give the secret ↗", OPEN_PAGE, link)])]


def link_form(link: str) -> Block:
    """Give it in the place of a form."""
    return {"type": "modal", "title": plain("New secret"), "close": plain("Close"), "blocks": give_secret(link)}


def token(token: str, rotation_id: str) -> str:
    """Give a person their token for the command line."""
    return (
        f"`{token}`\nThe token for `keyturn secret {rotation_id} < file`, which asks for it, or takes it from "
        "KEYTURN_TOKEN. It is for you alone, works once, and ends after ten minutes."
    )
