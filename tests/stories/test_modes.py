"""Socket Mode and HTTP mode, one process and several, and what the bot says of its own health."""

import asyncio
import gzip
import hashlib
import hmac
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.support.process import answer_of, bot_process, ran, until_answer
from tests.support.stage import KEY, Stage, free_port, stage_of

BODY = b"command=%2Frotate-key&text=help&user_id=U_REQUESTER&channel_id=C_OPS&team_id=T_HOME"


@pytest.fixture
async def http_stage(redis_url: str) -> AsyncIterator[Stage]:
    """The stage with the bot on it, in HTTP mode."""
    async with stage_of(redis_url, mode="http") as stage, stage.bot():
        yield stage


def signed(stage: Stage, body: bytes, stamp: str = "") -> dict[str, str]:
    stamp = stamp or str(int(time.time()))
    digest = hmac.new(stage.slack.signing_secret.encode(), f"v0:{stamp}:".encode() + body, hashlib.sha256).hexdigest()
    return {
        "X-Slack-Request-Timestamp": stamp,
        "X-Slack-Signature": f"v0={digest}",
        "Content-Type": "application/x-www-form-urlencoded",
    }


async def posted(stage: Stage, body: Any, headers: dict[str, str]) -> int:
    async with aiohttp.ClientSession() as http, http.post(stage.slack.events_url, data=body, headers=headers) as answer:
        return answer.status


def port_of(stage: Stage) -> str:
    """Give the bot a port, and return its address."""
    stage.overrides["PORT"] = str(free_port())
    return f"http://127.0.0.1:{stage.overrides['PORT']}"


# --- HTTP mode ---


async def test_only_what_is_signed_for_its_own_body_and_a_recent_time_is_served(http_stage: Stage) -> None:
    now = int(time.time())
    headers = signed(http_stage, BODY, str(now))
    stamps = ["soon", "1e9", "-1", "٣", "9" * 400, str(now - 600), str(now + 600)]
    refused = [
        (BODY, {}),
        (b"\xff\xfe", signed(http_stage, b"")),
        (b"a", headers | {"Content-Type": "text/plain; charset=nonsense"}),
        (BODY.replace(b"help", b"status"), headers),
        (BODY, headers | {"X-Slack-Request-Timestamp": str(now - 1)}),
        (BODY, headers | {"X-Slack-Signature": headers["X-Slack-Signature"][2:]}),
        (BODY, headers | {"X-Slack-Signature": "v0=é"}),
        *((BODY, signed(http_stage, BODY, stamp)) for stamp in stamps),
    ]

    assert [await posted(http_stage, *each) for each in refused] == [401] * len(refused)
    assert await posted(http_stage, BODY, headers) == 200


async def test_a_body_over_the_limit_gets_413_also_where_it_hides_its_size(redis_url: str) -> None:
    async with stage_of(redis_url, mode="http") as stage:
        stage.overrides["HTTP_BODY_LIMIT"] = "10000"
        long = b"text=" + b"x" * 10_000

        async def pieces() -> AsyncIterator[bytes]:
            yield long[:5_000]
            yield long[5_000:]

        async with stage.bot():
            headers = signed(stage, long)
            assert await posted(stage, long, headers) == 413
            assert await posted(stage, pieces(), headers) == 413
            assert await posted(stage, gzip.compress(long), headers | {"Content-Encoding": "gzip"}) == 413
            assert await posted(stage, BODY, signed(stage, BODY)) == 200


DRIPPED = {
    "a head that never begins": b"",
    "a head that drips": b"POST /slack/events HTTP/1.1\r\nHost: x\r\nX-Slack-Signature: ",
    "a body that drips": b"POST /slack/events HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\ntext=",
    "a chunk that drips": b"POST /slack/events HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n500\r\n",
    "a body where none belongs": b"GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n",
    "a second head that drips": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nPOST /slack/events HTTP/1.1\r\nA: ",
}


async def test_a_slow_sender_is_cut_off_while_others_are_served(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for limit in ("handlers.http.BODY_WITHIN", "bot.http.HEAD_WITHIN", "bot.http.LINGER"):
        monkeypatch.setattr(limit, 1.0)
    async with stage_of(redis_url, mode="http") as stage, stage.bot():
        port = int(stage.overrides["PORT"])
        dripping = [asyncio.create_task(drip(port, begin)) for begin in DRIPPED.values()]

        assert await posted(stage, BODY, signed(stage, BODY)) == 200
        for begin, said in zip(DRIPPED.values(), await asyncio.gather(*dripping), strict=True):
            assert b" 200 OK" not in said or b"/healthz" in begin


async def drip(port: int, begin: bytes) -> bytes:
    """Send *begin* and then a byte now and then, until the other side has had enough; return what it said."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    said = b""
    async with asyncio.timeout(120):
        with suppress(ConnectionError):
            while not writer.transport.is_closing() and not reader.at_eof():
                writer.write(b"a")
                await writer.drain()
                with suppress(TimeoutError):
                    said += await asyncio.wait_for(reader.read(9000), 0.05)
    writer.close()
    return said


# --- health ---


async def test_a_bot_that_can_work_says_so_and_shows_its_figures(bare_stage: Stage) -> None:
    url = port_of(bare_stage)
    async with bare_stage.bot():
        await bare_stage.ask()

        assert await answer_of(f"{url}/healthz") == (200, "alive\n")
        assert await answer_of(f"{url}/readyz") == (200, "ready\n")
        status, figures = await answer_of(f"{url}/metrics")

    assert status == 200
    assert 'keyturn_open_rotations{state="AWAITING_SECRET"} 1.0' in figures
    assert 'keyturn_calls_total{outcome="200",service="control_plane",verb="GET"}' in figures


async def test_without_its_socket_the_bot_is_not_ready_and_says_why(bare_stage: Stage) -> None:
    url, slack = port_of(bare_stage), bare_stage.slack
    async with bare_stage.bot():
        slack.faults.fail("apps.connections.open", times=1000)
        await slack.disconnect()
        assert await until_answer(f"{url}/readyz", 503) == "Slack is not connected.\n"

        slack.faults.clear()

        await slack.until(lambda: slack.sockets == 1, what="one socket")
        assert KEY in (await bare_stage.ask()).plain


# --- several processes ---


async def test_web_and_worker_are_two_processes_and_the_web_half_moves_nothing(
    bare_stage: Stage, tmp_path: Path
) -> None:
    environ = bare_stage.environ | {"WORKER_PORT": str(free_port())}
    async with bot_process(environ, tmp_path, "web", command_line=True):
        card = await bare_stage.ask()
        await bare_stage.give(card)
        async with bot_process(environ, tmp_path, "worker", command_line=True):
            assert bare_stage.slack.sockets == 1
            await bare_stage.says(card, "waiting for an approver")

            url = f"http://127.0.0.1:{environ['WORKER_PORT']}"
            assert await answer_of(f"{url}/readyz") == (200, "ready\n")
            _, figures = await answer_of(f"{url}/metrics")
            assert 'keyturn_step_duration_seconds_count{outcome="done",step="verify"}' in figures
            assert 'keyturn_rotations_total{state="AWAITING_APPROVAL"} 1.0' in figures
            assert 'keyturn_open_rotations{state="AWAITING_APPROVAL"} 1.0' in figures


async def test_a_half_without_a_port_or_a_shared_redis_ends_with_one_sentence(
    bare_stage: Stage, tmp_path: Path
) -> None:
    shared, taken = bare_stage.environ, bare_stage.slack.api_url.split(":")[2].split("/")[0]
    alone = {name: value for name, value in shared.items() if name != "REDIS_URL"}
    missing = "REDIS_URL is missing: web and worker are two processes and have to share one, redis://…."
    for environ, half, sentence in (
        (shared | {"WORKER_PORT": taken}, "worker", "WORKER_PORT cannot be listened on"),
        (alone, "worker", missing),
        (alone, "web", missing),
    ):
        status, said = await ran(environ, tmp_path, half)

        assert status == 1
        assert said.splitlines()[-1].startswith(f"Keyturn cannot start. {sentence}")


async def test_two_bots_on_one_redis_do_everything_once(bare_stage: Stage, tmp_path: Path) -> None:
    environ = bare_stage.environ
    async with bot_process(environ, tmp_path), bot_process(environ, tmp_path):
        assert bare_stage.slack.sockets == 2
        card = await bare_stage.ask()
        await bare_stage.give(card)
        await bare_stage.press("Delete old key", card, who="U_APPROVER")
        await bare_stage.thread_says(card, "Receipt")

    changes = Counter((c.method, c.path) for c in bare_stage.aisix.calls if c.method in ("PATCH", "DELETE"))
    created = [c for c in bare_stage.aisix.calls if c.method == "POST" and c.path.endswith("/provider_keys")]
    assert bare_stage.slack.messages("C_OPS") == [card]
    said = [m.plain for m in bare_stage.slack.thread(card)]
    assert max(changes.values()) == len(created) == 1
    assert len(said) == len({text.split()[0] + text[-30:] for text in said})
