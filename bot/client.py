"""The HTTP clients with which the bot calls AISIX: what all of them need is made once for the process."""

import sys
from functools import cache
from importlib.util import find_spec
from ssl import SSLContext
from typing import Any

import httpx

if find_spec("sniffio") is None:
    # httpcore imports it several times a request, and Python does not remember that it is not there: it would look
    # through every folder of the path each time, a sixth of what a rotation costs.
    sys.modules["sniffio"] = None  # type: ignore[assignment]


def http_client(**options: Any) -> httpx.AsyncClient:
    """Return a client that verifies who answers it."""
    return httpx.AsyncClient(verify=trusted(), **options)


@cache
def trusted() -> SSLContext:
    """Read whom to trust; it takes 30 ms, so the clients share it."""
    return httpx.create_ssl_context()
