"""A Bolt app that acknowledges `/rotate-key` and does nothing else: what no bot can be faster than."""

import asyncio
import os

import aiohttp
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.context.ack.async_ack import AsyncAck
from slack_sdk.web.async_client import AsyncWebClient


async def main() -> None:
    token = os.environ.pop("SLACK_BOT_TOKEN")
    async with aiohttp.ClientSession() as session:
        client = AsyncWebClient(token=token, base_url=os.environ["SLACK_API_URL"], session=session)
        app = AsyncApp(name="bare", client=client, signing_secret="none", request_verification_enabled=False)

        @app.command("/rotate-key")
        async def rotate_key(ack: AsyncAck) -> None:
            await ack()

        await AsyncSocketModeHandler(app, os.environ["SLACK_APP_TOKEN"], web_client=client).connect_async()
        print("ready", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
