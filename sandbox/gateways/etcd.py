"""Run a real etcd, and call its JSON gateway."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import aiohttp

from sandbox.gateways.child import LOOPBACK, Child, free_port


class Etcd:
    """An etcd on free ports, with its data in *folder*, so that one from a killed run is never used."""

    def __init__(self, folder: Path) -> None:
        self.port, peer = free_port(), f"http://{LOOPBACK}:{free_port()}"
        self._url = f"http://{LOOPBACK}:{self.port}"
        self._http: aiohttp.ClientSession | None = None
        self._child = Child(
            "etcd",
            folder,
            "etcd",
            *("--data-dir", str(folder / "etcd")),
            *("--listen-client-urls", self._url, "--advertise-client-urls", self._url),
            *("--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer),
            *("--initial-cluster", f"default={peer}", "--unsafe-no-fsync"),
        )

    async def start(self) -> None:
        self._http = aiohttp.ClientSession(self._url)
        await self._child.start(self._answers)

    async def stop(self) -> None:
        if self._http is not None:
            await self._http.close()
        await self._child.stop()

    async def put(self, key: str, row: Any) -> int:
        """Write *row* as JSON, and return the new revision."""
        return await self._call("put", {"key": _coded(key), "value": _coded(json.dumps(row))})

    async def delete(self, key: str) -> int:
        """Delete a row, and return the new revision."""
        return await self._call("deleterange", {"key": _coded(key)})

    async def _answers(self) -> bool:
        assert self._http is not None
        try:
            async with self._http.get("/health") as answer:
                return answer.ok
        except (TimeoutError, aiohttp.ClientError):
            return False

    async def _call(self, what: str, body: dict[str, str]) -> int:
        assert self._http is not None
        async with self._http.post(f"/v3/kv/{what}", json=body) as answer:
            answer.raise_for_status()
            return int((await answer.json())["header"]["revision"])


def _coded(text: str) -> str:
    return b64encode(text.encode()).decode()
