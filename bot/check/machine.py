"""Check what surrounds the process: variables that have no effect here, and how many files it may open."""

import os
import resource
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from bot.check.findings import Try, warn
from bot.settings import doubts
from bot.settings.reading import DOTENV
from bot.terminal import Finding

FILES = 512
"""The fewest files that a busy bot should be allowed to open: each connection is one."""

IGNORED = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


async def _surroundings() -> list[Finding]:
    found = [
        warn(f"{name} has no effect on Keyturn: to trust an authority of your own, set SSL_CERT_FILE.")
        for name in IGNORED
        if os.environ.get(name) and not os.environ.get("SSL_CERT_FILE")
    ]
    found += map(warn, (*doubts(), *_exposed(DOTENV)))
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= files < FILES:
        found.append(warn(f"the process may open {files} files at a time (ulimit -n): let it open {FILES} or more."))
    return found


def _exposed(file: Path) -> Iterator[str]:
    with suppress(OSError):
        if file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            yield f"every user of this machine may read {file}, which holds secrets: chmod 600 {file}."


SURROUNDINGS = Try("this machine", "ulimit", _surroundings)
