"""Invented secrets to paste, and whether the provider accepts them."""

from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any

from sandbox.aisix import Aisix
from sandbox.company import GOOD_SECRET, OLD_SECRET, WRONG_SECRET
from sandbox.providers import ProviderServer

Json = dict[str, Any]

KNOWN = (
    ("wrong secret", WRONG_SECRET, "of an account that was closed"),
    ("right secret", GOOD_SECRET, "made for the replacement"),
    ("first secret", OLD_SECRET, "held by no key any more"),
)


@dataclass
class Secrets:
    """The secrets on the page, with the provider that accepts or refuses them."""

    aisix: Aisix
    provider: ProviderServer
    secrets: list[tuple[str, str, str]] = field(default_factory=lambda: list(KNOWN))

    def shown(self) -> list[Json]:
        return [
            {"name": name, "value": value, "hint": self._holder(value) or hint, "accepted": self._accepted(value)}
            for name, value, hint in self.secrets
        ]

    def to_try(self) -> list[list[str]]:
        """Return a refused secret and an accepted one, neither of them on a key, if they exist."""
        free = [(name, value) for name, value, _hint in self.secrets if not self._holder(value)]
        refused = [[name, value] for name, value in free if not self._accepted(value)]
        good = [[name, value] for name, value in free if self._accepted(value) and value != OLD_SECRET]
        return [*refused[:1], *good[-1:]]

    def _accepted(self, value: str) -> bool:
        return self.aisix.upstream.accepts(value)

    def _holder(self, value: str) -> str:
        keys = self.aisix.provider_keys.values()
        return next((f"in use: “{key.display_name}” holds it" for key in keys if key.secret == value), "")

    def set(self, value: str, *, accepted: bool) -> None:
        """Let the provider accept or refuse one of the secrets from now on."""
        if value not in (known for _name, known, _hint in self.secrets):
            raise LookupError("There is no such secret.")
        credential = self.provider.of_secret(value)
        if credential is None:
            (self.aisix.upstream.accept if accepted else self.aisix.upstream.refuse)(value)
        elif credential.status == "gone":
            raise LookupError("It is deleted at the provider: nothing brings it back.")
        else:
            self.provider.become(credential, "active" if accepted else "disabled")

    def mint(self) -> None:
        """Create another secret that the provider accepts."""
        value = f"sk-sandbox-new-{token_hex(6)}"
        self.provider.by_hand(f"for the replacement {len(self.secrets) - 1}", value)
        self.secrets.append((f"right secret {len(self.secrets) - 1}", value, "made for the replacement"))
