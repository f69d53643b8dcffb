"""The names of what one bot keeps in Redis. Pure.

Several bots can share one Redis: each keeps everything under the workspace and the control plane that it serves.
"""

import hashlib
from urllib.parse import urlsplit

from bot.frozen import Frozen

PREFIX = "keyturn:"
DIGITS = 8
"""Of the hash of the control plane's address: names of keys are seen, and two addresses must not have one name."""

PORTS = {"http": 80, "https": 443}


class Namespace(Frozen):
    """One workspace and one control plane; without both it is where the version before kept everything."""

    team: str = ""
    control_plane: str = ""

    @classmethod
    def of(cls, team: str, control_plane: str) -> "Namespace":
        """Return the namespace of a bot; two ways to write one address are one namespace."""
        return cls(team=team, control_plane=normal(control_plane))

    @property
    def name(self) -> str:
        """Return what it is called: empty for the names of the version before."""
        if not self.team and not self.control_plane:
            return ""
        return f"{self.team}-{hashlib.sha256(self.control_plane.encode()).hexdigest()[:DIGITS]}"

    @property
    def prefix(self) -> str:
        """Return what every key begins with."""
        return f"{PREFIX}{self.name}:" if self.name else PREFIX

    def key(self, kind: str, of: str | None = None) -> str:
        """Return the name of a key: one of its *kind*, or that *of* a rotation or another thing."""
        return self.prefix + (kind if of is None else f"{kind}:{of}")

    @property
    def queue(self) -> str:
        """Return the name of the queue of jobs."""
        return self.prefix.removesuffix(":")


BEFORE = Namespace()
"""Where the version before kept the records of every bot."""


def normal(address: str) -> str:
    """Return an address as one writes it: lower case, without the port that goes without saying or a last slash."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"
