"""A crowd at once: everybody is acknowledged before anybody's wish is seen to.

To acknowledge takes a fraction of what follows it. Who came last would wait for all that the first ones asked for.
"""

import asyncio
from typing import Any

from slack_bolt.context.ack.async_ack import AsyncAck
from slack_bolt.response import BoltResponse

CALM = 0.02
"""Seconds without another acknowledgement, after which there is no crowd; twice what Bolt takes to send one off."""

LONGEST = 0.5
"""Seconds that nobody's wish waits for more than, however many come: a form has to be opened within three."""


class Crowd:
    """All who are being acknowledged by this process."""

    def __init__(self, calm: float = CALM, longest: float = LONGEST) -> None:
        self._calm, self._longest = calm, longest
        self._last = 0.0

    def ack(self) -> AsyncAck:
        """Return what acknowledges one request, and comes back when there is no crowd any more."""
        return _PatientAck(self)

    async def over(self) -> None:
        """Wait for the crowd, which has one more in it now, to be over."""
        loop = asyncio.get_running_loop()
        self._last = loop.time()
        end = self._last + self._longest
        while (left := min(self._last + self._calm, end) - loop.time()) > 0:  # noqa: ASYNC110 - it ends by itself
            await asyncio.sleep(left)


class _PatientAck(AsyncAck):
    def __init__(self, crowd: Crowd) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._crowd = crowd

    async def __call__(self, *args: Any, **given: Any) -> BoltResponse:
        response = await super().__call__(*args, **given)
        await self._crowd.over()
        return response
