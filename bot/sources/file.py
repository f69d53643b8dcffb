"""Reads a file of the configured folder, and no other."""

import asyncio
import os
import stat
from datetime import UTC, datetime
from pathlib import Path

from pydantic import SecretStr

from bot.rotation.errors import ApiError
from bot.rotation.references import Reference, Sourced

LARGEST = 64 * 1024
"""Bytes; the longest document of a provider has a few thousand."""


class Folder:
    """The folder. Raises `ApiError` for what is not there, leads out of it, is no file, or is too large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def read(self, reference: Reference) -> Sourced:
        """Read a file."""
        return await asyncio.to_thread(self._read, reference)

    async def tried(self) -> str:
        """Look at the folder."""
        if not os.access(self._folder, os.R_OK | os.X_OK) or not self._folder.is_dir():
            raise ApiError("The folder can't be read.")
        return "the folder is there"

    def _read(self, reference: Reference) -> Sourced:
        """Open what the path leads to, which may be a link within the folder, as Kubernetes makes them."""
        try:
            folder = self._folder.resolve(strict=True)
            file = folder.joinpath(*reference.path).resolve(strict=True)
            if not file.is_relative_to(folder):
                raise ApiError("That file leads out of the folder.")
            handle = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, RuntimeError):
            raise ApiError("There is no such file in the folder, or the bot may not read it.") from None
        try:
            about = os.fstat(handle)
            if not stat.S_ISREG(about.st_mode):
                raise ApiError("That is no file.")
            raw = os.read(handle, LARGEST + 1)
        finally:
            os.close(handle)
        return Sourced(_text(raw), str(reference), "", datetime.fromtimestamp(about.st_mtime, UTC))


def _text(raw: bytes) -> SecretStr:
    if len(raw) > LARGEST:
        raise ApiError(f"That file is larger than {LARGEST:,} bytes.")
    try:
        return SecretStr(raw.decode("utf-8"))
    except UnicodeDecodeError:
        raise ApiError("That file is no text.") from None
