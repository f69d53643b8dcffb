"""Check what surrounds the process: variables that have no effect here, and how many files it may open."""

import os
import resource

from bot.check.findings import Finding, Try, warn
from bot.settings import doubts

FILES = 512
"""The fewest files that a busy bot should be allowed to open: each connection is one."""

IGNORED = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


async def _surroundings() -> list[Finding]:
    found = [
        warn(f"{name} has no effect on Keyturn: to trust an authority of your own, set SSL_CERT_FILE.")
        for name in IGNORED
        if os.environ.get(name) and not os.environ.get("SSL_CERT_FILE")
    ]
    found += map(warn, doubts())
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < FILES:
        found.append(warn(f"the process may open {files} files at a time (ulimit -n): let it open {FILES} or more."))
    return found


SURROUNDINGS = Try("this machine", "ulimit", _surroundings)
