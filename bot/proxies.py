"""Which proxy a request goes through, by HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY; the same for every client.

Left alone, httpx and slack_sdk read these variables each in its own way: httpx ends at a bracketed address or an IPv6
range in NO_PROXY with a trace, and does not know IPv4 ranges; slack_sdk ignores NO_PROXY.
"""

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from urllib.parse import SplitResult, urlsplit

SCHEMES = ("http", "https")
PORTS = {"http": 80, "https": 443}
OF_SOCKETS = {"ws": "http", "wss": "https"}
Network = IPv4Network | IPv6Network
HOST = re.compile(r"(\*?\.)?[\w.-]+")


def proxy_for(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Return the proxy for requests to *url*; None if they go there directly."""
    there = urlsplit(url)
    there = there._replace(scheme=OF_SOCKETS.get(there.scheme, there.scheme))
    proxy = _read(environ, f"{there.scheme}_proxy") or _read(environ, "all_proxy")
    if not proxy or any(_exempts(entry, there) for entry in _entries(environ)):
        return None
    return _whole(proxy)


def troubles(environ: Mapping[str, str] = os.environ) -> Iterator[str]:
    """Return a sentence for each of these variables that can't be followed."""
    own = [f"{scheme}_proxy" for scheme in SCHEMES]
    for name in own if all(_read(environ, each) for each in own) else (*own, "all_proxy"):
        if (proxy := _read(environ, name)) and not _is_proxy(_whole(proxy)):
            yield f"{_spelling(environ, name)} is wrong: it should be the address of a proxy, http://host:port."
    for entry in _entries(environ):
        if not _is_readable(entry):
            yield (
                f"{_spelling(environ, 'no_proxy')} has {entry.rpartition('@')[2]}, which is no host, address or range: "
                "write names, .domains, addresses and ranges (10.0.0.0/8, fd00::/8), separated by commas."
            )


def _read(environ: Mapping[str, str], name: str) -> str:
    """Return a variable; the one in small letters wins, as everywhere."""
    return (environ.get(name) or environ.get(name.upper()) or "").strip()


def _spelling(environ: Mapping[str, str], name: str) -> str:
    return name if environ.get(name) else name.upper()


def _entries(environ: Mapping[str, str]) -> list[str]:
    return [entry.strip().lower() for entry in re.split(r"[,\s]+", _read(environ, "no_proxy")) if entry.strip()]


def _whole(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _is_proxy(url: str) -> bool:
    with suppress(ValueError):
        parts = urlsplit(url)
        return parts.scheme in SCHEMES and bool(parts.hostname) and parts.port != 0
    return False


def _is_readable(entry: str) -> bool:
    return entry == "*" or _network(entry) is not None or HOST.fullmatch(_split(entry)[0]) is not None


def _network(entry: str) -> Network | None:
    with suppress(ValueError):
        return ip_network(_split(entry)[0], strict=False)
    return None


def _split(entry: str) -> tuple[str, str]:
    """Return the host, address or range of an entry, and its port or an empty string."""
    if found := re.fullmatch(r"\[(.+)\](?::(\d+))?", entry):
        return found[1], found[2] or ""
    if found := re.fullmatch(r"([^:]+):(\d+)", entry):
        return found[1], found[2]
    return entry, ""


def _exempts(entry: str, there: SplitResult) -> bool:
    host, port = _split(entry)
    if entry == "*":
        return True
    if port and int(port) != (there.port or PORTS.get(there.scheme)):
        return False
    network = _network(entry)
    if network is not None:
        return _is_in(there.hostname or "", network)
    suffix = host.removeprefix("*").strip(".")
    return there.hostname == suffix or (there.hostname or "").endswith(f".{suffix}")


def _is_in(host: str, network: Network) -> bool:
    with suppress(ValueError):
        return ip_address(host) in network
    return False
