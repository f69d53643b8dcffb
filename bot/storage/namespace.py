"""The names of one bot's keys in Redis. Pure.

Several bots can share one Redis: each prefixes its keys with the workspace and the control plane that it serves.
"""

import hashlib
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

from bot.rotation.frozen import Frozen

PREFIX = "keyturn:"
REGISTER = PREFIX + "namespaces"
"""The only key that all bots share: the address of each namespace's control plane, for people to read."""

DIGITS = 8
"""The length of the hash of the control plane's address: people see it in key names, and can type a short one."""

NAME = re.compile(rf"(?P<team>[^:]*)-(?P<hash>[0-9a-f]{{{DIGITS}}})")
PORTS = {"http": 80, "https": 443}


class Namespace(Frozen):
    """One workspace and one control plane; an empty name means the previous version's names."""

    name: str = ""
    control_plane: str = ""
    """The control plane's address, if known."""

    @classmethod
    def of(cls, team: str, control_plane: str) -> "Namespace":
        """Return the namespace of a bot; different spellings of one address give the same namespace."""
        address = normal(control_plane)
        return cls(name=f"{team}-{hashlib.sha256(address.encode()).hexdigest()[:DIGITS]}", control_plane=address)

    @property
    def team(self) -> str:
        """Return the workspace's id."""
        return self.name.rpartition("-")[0]

    @property
    def prefix(self) -> str:
        """Return the prefix of every key."""
        return f"{PREFIX}{self.name}:" if self.name else PREFIX

    @property
    def queue(self) -> str:
        """Return the name of the job queue; people use it as the namespace's name too."""
        return self.prefix.removesuffix(":")

    def key(self, kind: str, of: str | None = None) -> str:
        """Return the name of a key: the only one of its *kind*, or the one *of* a rotation or another object."""
        return self.prefix + (kind if of is None else f"{kind}:{of}")


BEFORE = Namespace()
"""Where the previous version kept the records of every bot."""


def normal(address: str) -> str:
    """Normalize an address: scheme and host in lower case, without the default port and a trailing slash."""
    parts = urlsplit(address)
    host = (parts.hostname or "").rstrip(".")
    host = f"[{host}]" if ":" in host else host
    port = f":{parts.port}" if parts.port and parts.port != PORTS.get(parts.scheme) else ""
    return f"{parts.scheme}://{host}{port}{parts.path.rstrip('/')}"


def named_by(keys: Iterable[str]) -> frozenset[str]:
    """Return the namespaces that *keys* belong to; an empty name means the previous version's names."""
    parts = (key.removeprefix(PREFIX).split(":") for key in keys if key != REGISTER)
    return frozenset(part[0] if NAME.fullmatch(part[0]) else "" for part in parts)
