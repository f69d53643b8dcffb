"""What stands around real gateways, without one: the rows they read, their cable to etcd, their provider."""

import asyncio
import sys

import aiohttp
import pytest

from sandbox.aisix.rows import Model
from sandbox.aisix.store import CallerKey, Change
from sandbox.aisix.upstream import Upstream
from sandbox.gateways.missing import missing
from sandbox.gateways.relay import Relay
from sandbox.gateways.rows import Rows, caller_row
from sandbox.gateways.upstream import UpstreamServer

HERE = "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("key", "base"),
    [
        ({"provider": "openai", "api_base": "https://api.openai.com/v1"}, f"{HERE}/v1"),
        ({"provider": "own", "adapter": "openai", "api_base": "https://llm.example.com"}, f"{HERE}/v1"),
        ({"provider": "anthropic"}, HERE),
    ],
)
def test_no_key_of_a_real_gateway_leads_away_from_this_machine(key, base):
    rows = Rows(HERE, {"m1": Model({"display_name": "chat-large", "kind": "direct"})})
    row = rows.row(Change(1, "provider_keys", "id", {"display_name": "k", "api_key": "sk-1"} | key))

    assert row["api_base"] == base


def test_no_gateway_is_told_a_caller_key_itself():
    made = caller_row(CallerKey("ck-secret", "app", ["*"], limit=60))

    assert "ck-secret" not in str(made)
    assert made["rate_limit"] == {"rpm": 60}


@pytest.fixture
async def relay():
    """A cable to somebody who says back what is said."""

    async def echo(reader, writer):
        while line := await reader.readline():
            writer.write(line)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    relay = Relay(server.sockets[0].getsockname()[1])
    await relay.start()
    yield relay
    await relay.stop()
    server.close()
    await server.wait_closed()


async def test_a_cable_may_fall_silent_for_a_while_and_tears_what_is_open_when_it_is_closed(relay):
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)

    async def heard():
        writer.write(b"hello\n")
        return await asyncio.wait_for(reader.readline(), 0.3)

    assert await heard() == b"hello\n"
    relay.state = "silent"
    with pytest.raises(TimeoutError):
        await heard()
    relay.state = "well"
    assert await reader.readline() == b"hello\n"
    relay.state = "closed"
    assert await reader.read() == b""
    relay.state = "well"
    reader, writer = await asyncio.open_connection("127.0.0.1", relay.port)
    assert await heard() == b"hello\n"


async def test_the_provider_counts_by_the_secret_that_came_and_refuses_one_that_it_does_not_know():
    upstream = Upstream()
    upstream.accept("sk-good")
    server = UpstreamServer(upstream)
    await server.start()
    async with aiohttp.ClientSession(server.url) as http:
        for secret, status in (("sk-good", 200), ("sk-bad", 401)):
            headers = {"Authorization": f"Bearer {secret}", "x-aisix-request-id": f"of {secret}"}
            async with http.post("/v1/chat/completions", json={"model": "gpt-4o"}, headers=headers) as answer:
                assert answer.status == status
            assert (server.secret_of(f"of {secret}"), upstream.answered(secret)) == (secret, 1)
    await server.stop()


@pytest.mark.parametrize(
    ("binary", "path", "words"),
    [
        ("", "", "Real gateways need a gateway binary: say where it is with AISIX_BIN=/path/to/aisix."),
        ("/nowhere/aisix", "", "AISIX_BIN names no program: /nowhere/aisix."),
        (sys.executable, "/nowhere", "Real gateways need etcd: install Debian's package etcd-server"),
    ],
)
def test_what_is_missing_is_said_in_a_sentence(monkeypatch, binary, path, words):
    monkeypatch.setenv("PATH", path)

    assert missing(binary).startswith(words)
