"""The address of a Redis whose primary Sentinel names: `redis+sentinel://user:password@host:26379,host/mymaster/0`.

With `rediss+sentinel://` both the Sentinels and Redis are asked over TLS.
"""

import re
from typing import NamedTuple
from urllib.parse import parse_qsl, urlencode, urlsplit

EXAMPLE = "redis+sentinel://host:26379,host:26379/mymaster/0"
SCHEMES = ("redis+sentinel://", "rediss+sentinel://")
ADDRESS = re.compile(r"(rediss?)\+sentinel://([^@/]*@)?([^@/?]+)/([^/?@]+)(?:/(\d*))?(?:\?(.*))?")
PORT = 26379
OF_SENTINELS = "sentinel_password"
"""The option of the address that the Sentinels are asked with."""


class Sentinels(NamedTuple):
    """Where the Sentinels are, and what the primary is asked with."""

    hosts: tuple[tuple[str, int], ...]
    name: str
    """What they call the primary."""

    server: str
    """The primary's address, but for its host."""

    password: str | None
    """The Sentinels' own."""

    def __repr__(self) -> str:
        """Name the primary, and no password."""
        return f"Sentinels({self.name!r})"


def sentinels_in(url: str) -> Sentinels | None:
    """Read an address; return None for one of another kind, raise `ValueError` for one that lacks something."""
    if not url.startswith(SCHEMES):
        return None
    if not (found := ADDRESS.fullmatch(url)):
        raise ValueError("address")
    scheme, user, hosts, name, database, query = found.groups("")
    options = dict(parse_qsl(query, strict_parsing=bool(query)))
    password = options.pop(OF_SENTINELS, None)
    return Sentinels(
        hosts=tuple(map(_place, hosts.split(","))),
        name=name,
        server=f"{scheme}://{user}{name}/{database}?{urlencode(options)}",
        password=password,
    )


def _place(host: str) -> tuple[str, int]:
    parts = urlsplit(f"//{host.strip()}")
    if not parts.hostname or parts.port == 0:
        raise ValueError("address")
    return parts.hostname, parts.port or PORT
