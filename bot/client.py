"""The HTTP clients with which the bot calls AISIX: what all of them need is made once for the process."""

from functools import cache
from ssl import SSLContext
from typing import Any

import httpx


def http_client(**options: Any) -> httpx.AsyncClient:
    """Return a client that verifies who answers it."""
    return httpx.AsyncClient(verify=trusted(), **options)


@cache
def trusted() -> SSLContext:
    """Read whom to trust; it takes 30 ms, so the clients share it."""
    return httpx.create_ssl_context()
