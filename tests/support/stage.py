"""The stage of the stories: a Slack, an AISIX, a Valkey, and the bot between them, over real sockets."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Literal

from bot.app import Parts, front, parts, worker
from bot.rotation.credentials import Providers
from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.settings import Settings, read_settings
from bot.storage.namespace import Namespace
from handlers.views.modal import TAKE_BACK_FORM
from sandbox.aisix import Aisix, Switches
from sandbox.slack import Message, Slack
from sandbox.slack.person import Person
from sandbox.slack.results import Submission
from sandbox.slack.world import HOME

OLD_SECRET = "sk-old-0123456789abcdef"
NEW_SECRET = "sk-new-CANARY0123456789abcdefXYZ"
WRONG_SECRET = "sk-bad-WRONGCANARY9876543210"
KEY = "OpenAI production"

BOT_FAULTS = (
    "invalid_",
    "msg_too_long",
    "no_text",
    "view_too_large",
    "missing_scope",
    "unknown_method",
    "expired_trigger",
)
"""What Slack answers when it is the bot that did something wrong."""

QUICK = {
    "SETTLE": "0.3",
    "WAVES": "rest",
    "WATCH": "0",
    "LISTEN": "0",
    "PROJECTION_TIMEOUT": "5",
    "VERIFY_TIMEOUT": "3",
    "CREATE_GRACE": "1",
    "READ_BACK": "1",
    "PATIENCE": "5",
    "CONTROL_PLANE_TIMEOUT": "10",
    "PROBE_TIMEOUT": "10",
    "REDIS_TIMEOUT": "10",
    "SLACK_EDITS_PER_MINUTE": "100000",
    "SWEEP_INTERVAL": "1",
    "LEASE": "3",
    "APPROVERS": "S_APPROVERS",
    "SHUTDOWN_GRACE": "30",
    "WORKER_CONCURRENCY": "2",
    "LOG_LEVEL": "debug",
    "QUIET_HOURS": "none",
    "WORKING_DAYS": "none",
}
"""Waits as short as the sandbox is fast, and one wave: each asks barriers again. Where waves matter: `IN_WAVES`."""

IN_WAVES = {"WAVES": "1,rest"}


TICK = 0.02


@asynccontextmanager
async def loop_clock(began: datetime | None) -> AsyncIterator[Callable[[], datetime]]:
    """Yield a clock that all but stands still where the loop gets no turn: no limit is met for want of a processor.

    As with a real clock, no two readings are the same.
    """
    now = began or datetime.now(UTC)

    async def tick() -> None:
        nonlocal now
        while True:
            await asyncio.sleep(TICK)
            now += timedelta(seconds=TICK)

    def read() -> datetime:
        nonlocal now
        now += timedelta(microseconds=1)
        return now

    ticking = asyncio.create_task(tick())
    try:
        yield read
    finally:
        ticking.cancel()


async def submitted(person: Person, fields: Mapping[str, str]) -> Submission:
    """Submit a form as a person does: again, for as long as a busy machine has the answer say to press again."""
    while True:
        answer = await person.submit(dict(fields))
        if not any("Press again" in error for error in answer.errors.values()):
            return answer


@dataclass
class Stage:
    slack: Slack
    aisix: Aisix
    redis_url: str
    overrides: dict[str, str] = field(default_factory=dict)
    built: Parts | None = None
    providers: Providers | None = None
    """In place of those of the settings."""

    began: datetime | None = None
    """When the bot takes it to be at its start; None is now."""

    @property
    def environ(self) -> dict[str, str]:
        found = QUICK | {"REDIS_URL": self.redis_url} | self.slack.settings() | self.aisix.settings() | self.overrides
        return {name: str(value) for name, value in found.items()}

    @property
    def namespace(self) -> Namespace:
        return namespace_of(self.environ)

    @asynccontextmanager
    async def bot(self) -> AsyncIterator[Parts]:
        async with (
            loop_clock(self.began) as clock,
            parts(self.settings(), clock) as self.built,
            worker(self.built),
            front(self.built),
        ):
            yield self.built

    @asynccontextmanager
    async def front(self) -> AsyncIterator[Parts]:
        """Run the half of the bot that people talk to, and nothing that moves a rotation on."""
        async with parts(self.settings()) as built:
            self.built = built
            if self.providers:
                self.built = replace(built, world=replace(built.world, providers=self.providers))
            async with front(self.built):
                yield self.built

    def settings(self) -> Settings:
        """Return what the bot would read at a start now."""
        with Environment(self.environ):
            return read_settings(None)

    # --- what people do ---

    async def ask(self, text: str = KEY, who: str = "U_REQUESTER") -> Message:
        before = len(self.slack.messages("C_OPS"))
        await self.slack.person(who).command(text, channel="C_OPS")
        await self.slack.until(lambda: len(self.slack.messages("C_OPS")) > before, what="the card")
        return self.slack.messages("C_OPS")[-1]

    async def press(self, button: str, card: Message, who: str = "U_REQUESTER", **more: Any) -> Any:
        """Have *who* press a button of *card*, once it is there."""
        await self.slack.until(lambda: button in card.buttons, what=f"the button {button}; the card says {card.plain}")
        return await self.slack.person(who).click(button, card, **more)

    async def give(
        self, card: Message, secret: str = NEW_SECRET, button: str = "Enter new secret", **fields: str
    ) -> Any:
        person = self.slack.person("U_REQUESTER")
        await self.press(button, card)
        await self.slack.until(lambda: person.modal, what="the form")
        if (person.modal or {}).get("callback_id") == TAKE_BACK_FORM:
            await person.submit()
        return await submitted(person, {"secret": secret, **fields})

    async def says(self, card: Message, words: str, timeout: float = 120) -> Message:
        await self.slack.until(lambda: words in card.plain, timeout=timeout, what=f"{words!r} on the card")
        return card

    def thread(self, card: Message) -> str:
        return "\n".join(reply.plain for reply in self.slack.thread(card))

    async def thread_says(self, card: Message, words: str, timeout: float = 120) -> None:
        await self.slack.until(lambda: words in self.thread(card), timeout=timeout, what=f"{words!r} in the thread")

    async def told(self, who: str, words: str) -> str:
        """Wait until only *who* has been told *words*."""
        person = self.slack.person(who)
        await self.slack.until(
            lambda: any(words in said["text"] for said in person.ephemerals), what=f"{words!r} to {who}"
        )
        return str(person.ephemerals[-1]["text"])

    # --- what there is ---

    async def record(self) -> Rotation:
        assert self.built is not None
        return (await self.built.store.recent(1))[0]

    async def recorded(self, condition: Callable[[Rotation], Any], timeout: float = 120) -> Rotation:
        """Wait until the newest record meets *condition*, whatever people see, and return it."""
        async with asyncio.timeout(timeout):
            while not condition(rotation := await self.record()):  # noqa: ASYNC110 - Redis has no event for it
                await asyncio.sleep(0.01)
        return rotation

    async def is_linked(self) -> None:
        """Wait until the bot knows where it posted the newest card: it remembers that after Slack has shown it."""
        assert self.built is not None
        rotation = await self.record()
        while "card" not in await self.built.store.messages(rotation.id):  # noqa: ASYNC110 - the same
            await asyncio.sleep(0.01)

    async def state(self) -> State:
        return (await self.record()).state

    def key_named(self, part: str) -> Any:
        return next(key for key in self.aisix.provider_keys.values() if part in key.display_name)

    def keys_in_use(self) -> set[str]:
        """Return the ids of the keys that models refer to."""
        return {m.provider_key_id for m in self.aisix.models.values() if m.provider_key_id}


def namespace_of(environ: Mapping[str, str]) -> Namespace:
    return Namespace.of(HOME, environ["AISIX_CLOUD_API"])


@asynccontextmanager
async def stage_of(
    redis_url: str,
    *,
    mode: Literal["socket", "http"] = "socket",
    switches: Switches | None = None,
    overrides: Mapping[str, str] = MappingProxyType({}),
) -> AsyncIterator[Stage]:
    """Set a stage with one key behind three models in two environments, and a router over them."""
    async with (
        Slack(mode=mode) as slack,
        Aisix(switches=switches or Switches(), environments={"production": 2, "staging": 1}) as aisix,
    ):
        populate(aisix)
        stage = Stage(slack, aisix, redis_url, dict(overrides))
        if mode == "http":
            port = free_port()
            slack.events_url = f"http://127.0.0.1:{port}/slack/events"
            stage.overrides["PORT"] = str(port)
        yield stage
        assert slack.complaints == []
        meant = {"invalid_blocks"} if slack.missing_blocks else set()
        wrong = [(c.method, c.error) for c in slack.calls if str(c.error).startswith(BOT_FAULTS)]
        assert [call for call in wrong if call[1] not in meant] == []


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def populate(aisix: Aisix) -> None:
    key = aisix.add_key(KEY, provider="openai", secret=OLD_SECRET, environments=["production", "staging"])
    other = aisix.add_key("Other key", provider="openai", secret="sk-other-0123456789abc", environments=["production"])
    chat = aisix.add_model("production", "chat-large", key=key, upstream="gpt-4o")
    aisix.add_model("production", "support-embed", key=key, upstream="text-embedding-3-small", kind="embedding")
    aisix.add_model("staging", "chat-large", key=key, upstream="gpt-4o")
    aisix.add_model("production", "unrelated", key=other, upstream="gpt-4o")
    aisix.add_model("production", "chat-any", kind="routing", targets=[chat])
    aisix.upstream.accept(NEW_SECRET)


class Environment:
    """Replace the environment for as long as settings are read."""

    def __init__(self, values: dict[str, str]) -> None:
        self._values = values

    def __enter__(self) -> None:
        self._before = dict(os.environ)
        os.environ.clear()
        os.environ.update(self._values)

    def __exit__(self, *_: object) -> None:
        os.environ.clear()
        os.environ.update(self._before)
