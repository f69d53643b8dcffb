"""Check what real gateways need on this machine."""

import os
import shutil
from pathlib import Path


def missing(binary: str | None) -> str:
    """Say what is missing and what to do; return an empty string if nothing is."""
    if not binary:
        return "Real gateways need a gateway binary: say where it is with AISIX_BIN=/path/to/aisix."
    if not (Path(binary).is_file() and os.access(binary, os.X_OK)):
        return f"AISIX_BIN names no program: {binary}. Say where the gateway binary is with AISIX_BIN=/path/to/aisix."
    if shutil.which("etcd") is None:
        return "Real gateways need etcd: install Debian's package etcd-server, or put etcd on the PATH."
    return ""
