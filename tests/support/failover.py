"""Two Valkeys, one the other's replica, that change places; and how a bot finds the primary of the moment."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import RedisError

from tests.support.encrypted import CERTIFICATE, encrypted
from tests.support.stage import free_port
from tests.support.valkey import Valkey, valkey_in

USER, PASSWORD = "keyturn", "CANARY-redis"


class Pair:
    """A primary and its replica; *url* is where a bot finds the primary of the moment."""

    def __init__(self, servers: list[Valkey], ports: list[int]) -> None:
        self.servers, self.ports, self.url = servers, ports, ""
        self.primary, self.sentinel = 0, 0

    def client(self, which: int) -> Any:
        return Redis(host="127.0.0.1", port=self.ports[which], decode_responses=True, socket_timeout=1)

    @property
    def other(self) -> int:
        return 1 - self.primary

    async def until(self, which: int, **wanted: str) -> None:
        """Wait until a server says so of its replication."""
        async with asyncio.timeout(300), self.client(which) as redis:
            while True:
                with suppress(RedisError, OSError):
                    said = await redis.info("replication")
                    if wanted.items() <= {name: str(value) for name, value in said.items()}.items():
                        return
                await asyncio.sleep(0.05)

    async def in_step(self) -> None:
        await self.until(self.other, role="slave", master_link_status="up")

    async def promoted(self) -> None:
        """Wait until Sentinel names the other."""
        await until_named(self.sentinel, self.ports[self.other])
        self.primary = self.other

    async def hand_over(self) -> None:
        """Change places as a planned fail-over does it: nothing that was written is lost."""
        await self.in_step()
        async with self.client(self.primary) as redis:
            await redis.execute_command("FAILOVER")
        await self.until(self.other, role="master")
        self.primary = self.other


@asynccontextmanager
async def pair_in(folder: Path, *options: str) -> AsyncIterator[Pair]:
    async with AsyncExitStack() as stack:
        ports, servers = [free_port(), free_port()], []
        for number, port in enumerate(ports):
            (data := folder / str(number)).mkdir()
            listening = ("--bind", "127.0.0.1", "--port", str(port), "--repl-diskless-sync-delay", "0", *options)
            follows = ("--replicaof", f"127.0.0.1 {ports[0]}") if number else ()
            servers.append(await stack.enter_async_context(valkey_in(data, *listening, *follows)))
        pair = Pair(servers, ports)
        await pair.in_step()
        yield pair


@asynccontextmanager
async def managed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """A service: TLS of its own authority, a user who may not do all, and a name that leads to the primary."""
    async with pair_in(folder) as pair, AsyncExitStack() as stack:
        rights = ("~keyturn:*", "~saq:*", "&saq:*", "+@all", "-@dangerous")
        for which in (0, 1):
            async with pair.client(which) as redis:
                await redis.execute_command("ACL", "SETUSER", USER, "on", f">{PASSWORD}", *rights)
        behind = [await stack.enter_async_context(encrypted(f"redis://127.0.0.1:{port}")) for port in pair.ports]
        known = socket.getaddrinfo

        def looked_up(host: Any, port: Any, *more: Any, **options: Any) -> Any:
            if host != "localhost":
                return known(host, port, *more, **options)
            there = int(behind[pair.primary].url.rpartition(":")[2])
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", there))]

        monkeypatch.setattr(socket, "getaddrinfo", looked_up)
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
        pair.url = f"rediss://{USER}:{PASSWORD}@localhost:6379/0"
        yield pair


SENTINEL = """
port {port}
bind 127.0.0.1
dir {folder}
sentinel resolve-hostnames yes
sentinel announce-hostnames yes
sentinel monitor keyturn {host} {primary} 1
sentinel down-after-milliseconds keyturn 3000
sentinel failover-timeout keyturn 3000
sentinel known-replica keyturn {host} {replica}
"""


@asynccontextmanager
async def watched(folder: Path, _: object = None, host: str = "127.0.0.1") -> AsyncIterator[Pair]:
    """A Sentinel that watches both, and names the primary; the first of the Sentinels in the address is away."""
    async with pair_in(folder, "--replica-announce-ip", host) as pair:
        pair.sentinel = port = free_port()
        written = SENTINEL.format(port=port, folder=folder, host=host, primary=pair.ports[0], replica=pair.ports[1])
        (file := folder / "sentinel.conf").write_text(written)
        binary = pair.servers[0].binary
        process = await asyncio.create_subprocess_exec(binary, file, "--sentinel", stdout=asyncio.subprocess.DEVNULL)
        try:
            await until_named(port, pair.ports[0])
            pair.url = f"redis+sentinel://127.0.0.1:{free_port()},127.0.0.1:{port}/keyturn/0"
            yield pair
        finally:
            process.kill()
            await process.wait()


ELSEWHERE = "127.0.0.2"


@asynccontextmanager
async def watched_with_tls(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pair]:
    """The same over TLS alone: the bot finds each port of `localhost` elsewhere, behind TLS."""
    async with watched(folder, host="localhost") as pair, AsyncExitStack() as stack:
        for port in (pair.sentinel, *pair.ports):
            await stack.enter_async_context(encrypted(f"redis://127.0.0.1:{port}", ELSEWHERE, port))
        known = socket.getaddrinfo
        monkeypatch.setattr(
            socket,
            "getaddrinfo",
            lambda host, *more, **options: known(ELSEWHERE if host == "localhost" else host, *more, **options),
        )
        pair.url = f"rediss+sentinel://localhost:{pair.sentinel}/keyturn/0"
        yield pair


async def until_named(sentinel: int, wanted: int) -> None:
    """Wait until the Sentinel at one port names the server at another, and finds it well."""
    asked: Any = Redis(host="127.0.0.1", port=sentinel, decode_responses=True)
    async with asyncio.timeout(300), asked:
        while True:
            with suppress(RedisError, OSError):
                named = (await asked.sentinel_masters())["keyturn"]
                if (named["port"], named["is_sdown"]) == (wanted, False):
                    return
            await asyncio.sleep(0.05)
