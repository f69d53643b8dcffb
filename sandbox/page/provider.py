"""The provider's account on the page: its credentials, and the faults that it can be given."""

from typing import Any

from sandbox.page.switches import Choices, Switch
from sandbox.providers import Credential, ProviderServer

Json = dict[str, Any]

JUST_NOW = 5.0
"""Seconds."""

LATE = 8.0
"""Seconds until a new secret is taken: long enough to be visible, and shorter than the bot waits."""

FLAPS = 6
API: Choices = (
    ("well", "works"),
    ("lost", "loses its answer to the next create"),
    ("slow", "takes 2 s for each call"),
    ("down", "is down"),
)
EFFECT: Choices = (
    ("at once", "at once"),
    ("late", f"{LATE:g} s late"),
    ("flapping", "not always, for some answers after the end"),
)


def shown(provider: ProviderServer) -> Json:
    """Return what its list of credentials shows, those that are gone last."""
    rows = sorted(provider.credentials.values(), key=lambda each: each.status == "gone")
    return {"title": provider.title, "rows": [_row(provider, each) for each in rows]}


def _row(provider: ProviderServer, credential: Credential) -> Json:
    status = {"disabled": "disabled", "gone": "deleted"}.get(credential.status, "active")
    return {
        "id": credential.id,
        "name": credential.owner_name or credential.name,
        "hint": provider.hint(credential),
        "status": "expired" if provider.is_expired(credential) and status == "active" else status,
        "used": _used(provider, credential),
    }


def _used(provider: ProviderServer, credential: Credential) -> str:
    last = provider.last_used(credential)
    if last is None:
        return "never used"
    ago = provider.now() - last
    if ago < JUST_NOW:
        return "used just now"
    return f"last used {ago:.0f} s ago" if ago < MINUTE else f"last used {ago // MINUTE:.0f} min ago"


MINUTE = 60


def switches(provider: ProviderServer) -> list[Switch]:
    """Return the switches for the provider."""
    title = provider.title

    def api(value: str) -> None:
        provider.faults.clear()
        provider.latency = 2.0 if value == "slow" else 0.0
        if value == "lost":
            provider.faults.drop("POST", "/", after_effect=True)
        elif value == "down":
            provider.faults.fail("*", "/", 503, times=None)

    def effect(value: str) -> None:
        provider.switches.works_after = LATE if value == "late" else 0.0
        provider.switches.refused_after = LATE if value == "late" else 0.0
        provider.switches.flaps = FLAPS if value == "flapping" else 0

    return [
        Switch("provider", f"{title}'s admin API", "where Keyturn makes, lists and ends credentials", API, api),
        Switch("provider's effect", f"Changes at {title} have effect", "for whoever uses a credential", EFFECT, effect),
    ]
