"""Socket Mode as an app sees it."""

import asyncio
import json

import aiohttp
import pytest
from slack_sdk.web.async_client import AsyncWebClient


@pytest.fixture
async def plug(slack):
    """Open a socket as an app does, and read its hello."""
    async with aiohttp.ClientSession() as http:

        async def connect():
            client = AsyncWebClient(base_url=slack.api_url)
            answer = await client.apps_connections_open(app_token=slack.app_token)
            socket = await http.ws_connect(answer["url"])
            return socket, await socket.receive_json()

        yield connect


async def answered(socket, payload=None):
    """Acknowledge the next envelope."""
    envelope = await socket.receive_json()
    body = {"payload": payload} if payload else {}
    await socket.send_json({"envelope_id": envelope["envelope_id"], **body})
    return envelope


async def test_an_envelope_has_the_shape_that_slack_gives_it(slack, plug):
    socket, hello = await plug()
    envelope, answer = await asyncio.gather(answered(socket, {"text": "hi"}), slack.person("U_MEMBER").command("x"))

    assert hello["type"] == "hello"
    assert hello["num_connections"] == slack.sockets == 1
    assert envelope["type"] == "slash_commands"
    assert envelope["accepts_response_payload"] is True
    assert answer.text == "hi"
    assert slack.payloads == [{"type": "slash_commands", "payload": envelope["payload"]}]


async def test_an_envelope_goes_to_exactly_one_of_the_sockets_that_are_open(slack, plug):
    sockets = [(await plug())[0] for _ in range(4)]
    heard = []

    async def listen(number, socket):
        async for frame in socket:
            envelope = json.loads(frame.data)
            heard.append((number, envelope["payload"]["text"]))
            await socket.send_json({"envelope_id": envelope["envelope_id"]})

    await sockets.pop().close()
    await slack.until(lambda: slack.sockets == 3)
    listening = [asyncio.create_task(listen(*each)) for each in enumerate(sockets)]
    for number in range(6):
        await slack.person("U_MEMBER").command(str(number))
    for task in listening:
        task.cancel()

    assert [text for _, text in heard] == ["0", "1", "2", "3", "4", "5"]
    assert sorted(number for number, _ in heard) == [0, 0, 1, 1, 2, 2]


async def test_a_late_acknowledgement_is_no_acknowledgement(slack, plug):
    socket, _ = await plug()
    slack.ack_within = 0.05
    answer = await slack.person("U_MEMBER").command("x")
    await answered(socket, {"text": "too late"})
    await socket.send_str("nonsense")
    await slack.until(lambda: slack.complaints, what="the frames to be read")

    assert answer.timed_out
    assert [each["text"] for each in slack.person("U_MEMBER").ephemerals] == [
        '/rotate-key failed with the error "operation_timeout"'
    ]
