"""The names of what one bot keeps in Redis. Pure.

Several bots can share one Redis: each keeps everything under the workspace and the control plane that it serves.
"""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from bot.rotation.frozen import Frozen

PREFIX = "keyturn:"
REGISTER = PREFIX + "namespaces"
"""The one key that all bots share: which control plane each namespace is of, so that people can tell."""

DIGITS = 8
"""Of the hash of the control plane's address: names of keys are seen, and a short one can be typed."""

NAME = re.compile(rf"(?P<team>[^:]*)-(?P<hash>[0-9a-f]{{{DIGITS}}})")
PORTS = {"http": 80, "https": 443}


class Namespace(Frozen):
    """One workspace and one control plane; without a name it is where the version before kept everything."""

    name: str = ""
    control_plane: str = ""
    """The control plane's address, where it is known."""

    @classmethod
    def of(cls, team: str, control_plane: str) -> "Namespace":
        """Return the namespace of a bot; two ways to write one address are one namespace."""
        address = normal(control_plane)
        return cls(name=f"{team}-{hashlib.sha256(address.encode()).hexdigest()[:DIGITS]}", control_plane=address)

    @property
    def team(self) -> str:
        """Return the id of the workspace."""
        return self.name.rpartition("-")[0]

    @property
    def prefix(self) -> str:
        """Return what every key begins with."""
        return f"{PREFIX}{self.name}:" if self.name else PREFIX

    @property
    def queue(self) -> str:
        """Return the name of the queue of jobs; it is also what people call the namespace."""
        return self.prefix.removesuffix(":")

    def key(self, kind: str, of: str | None = None) -> str:
        """Return the name of a key: the one of its *kind*, or that *of* a rotation or another thing."""
        return self.prefix + (kind if of is None else f"{kind}:{of}")


BEFORE = Namespace()
"""Where the version before kept the records of every bot."""


def normal(address: str) -> str:
    """Return an address in one form: lower case, without the default port and a last slash."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def named_by(keys: Iterable[str]) -> frozenset[str]:
    """Return the names of the namespaces that *keys* belong to; empty for the names of the version before."""
    parts = (key.removeprefix(PREFIX).split(":") for key in keys if key != REGISTER)
    return frozenset(part[0] if NAME.fullmatch(part[0]) else "" for part in parts)
