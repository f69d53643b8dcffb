"""The search for a secret that got out: whole, in parts, and in every way in which it may be written."""

import base64
import json
import urllib.parse
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

CANARY = 'sk-Zq7"vK\\w2Hx!pLm9&Rt4<Yc6>eB/u3'
WRONG = 'sk-Gd5"nT\\b8Js!fXk2&Wy7<Qa9>hV/r6'
SHOWN = 3
"""Characters at the beginning that are no secret: every key of the provider's begins so."""

LONG = 8
"""Characters in a row that give a secret away."""

WAYS: tuple[Callable[[str], str], ...] = (
    lambda text: text,
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(json.dumps(text)[1:-1])[1:-1],
    urllib.parse.quote_plus,
    lambda text: repr(text)[1:-1],
    lambda text: text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;"),
)
"""As it is, in JSON, in JSON that is a string in JSON, in a form, in Python's own writing, and as Slack escapes it."""


def parts(secret: str) -> list[str]:
    """Return the parts of *secret* that are long enough to give it away."""
    return [secret[begin : begin + LONG] for begin in range(SHOWN, len(secret) - LONG + 1)]


def in_base64(part: bytes) -> Iterator[str]:
    """Yield what *part* looks like in base64 of something around it: it can begin at any of three places."""
    for before in range(3):
        whole = (before + len(part)) // 3 * 3
        yield base64.b64encode((bytes(before) + part)[:whole]).decode()[4 if before else 0 :]


@cache
def forms_of(secret: str) -> frozenset[str]:
    """Return all that would give *secret* away."""
    plain = {way(part) for part in parts(secret) for way in WAYS}
    return frozenset(plain | {form for part in parts(secret) for form in in_base64(part.encode())})


def found_in(text: str, *secrets: str) -> list[str]:
    """Return the forms of the *secrets* that are in *text*."""
    return sorted(form for secret in secrets for form in forms_of(secret) if form in text)


def refuse_canary(text: str, where: str) -> None:
    """Fail if *text* holds a part of either secret."""
    found = found_in(text, CANARY, WRONG)
    assert not found, f"{where} holds {found[:3]}"


# --- where it is looked for ---

READERS = {
    "string": lambda redis, key: redis.get(key),
    "hash": lambda redis, key: redis.hgetall(key),
    "list": lambda redis, key: redis.lrange(key, 0, -1),
    "set": lambda redis, key: redis.smembers(key),
    "zset": lambda redis, key: redis.zrange(key, 0, -1, withscores=True),
    "stream": lambda redis, key: redis.xrange(key),
}


async def refuse_in_keys(redis: Any) -> None:
    held = [(key, await _value(redis, key)) async for key in redis.scan_iter()]
    assert any(":rotation:" in str(key) for key, _ in held)
    refuse_canary(repr(held).replace("\\\\", "\\"), "Redis")


async def _value(redis: Any, key: Any) -> object:
    """Read a key of any type; one that went between the two looks holds nothing."""
    kind = await redis.type(key)
    name = kind.decode() if isinstance(kind, bytes) else kind
    return None if name == "none" else await READERS[name](redis, key)


class Written:
    """What a Redis writes to its folder from now on."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._before = {file: file.stat().st_size for file in self._files()}

    def _files(self) -> list[Path]:
        return [file for file in self._folder.rglob("*") if file.is_file()]

    def refuse(self) -> None:
        new = b"".join(file.read_bytes()[self._before.get(file, 0) :] for file in self._files())
        assert b":rotation:" in new
        refuse_canary(new.decode(errors="replace"), "Redis's files")


def told_by_the_system(pid: int) -> dict[str, str]:
    """Return what anyone on the machine may see of a process and its children; empty where the system does not say."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    family = [pid, *map(int, children.read_text().split())] if children.exists() else [pid]
    files = [Path(f"/proc/{each}") / name for each in family for name in ("cmdline", "environ")]
    return {f"{file.parent.name}/{file.name}": file.read_text() for file in files if file.exists()}
