"""Several web and worker processes on one Redis, killed at random, and people who rotate keys through all of it."""

import asyncio
import random
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from redis.asyncio import Redis

from bot.rotation.record import Rotation
from sandbox.aisix import Aisix
from sandbox.slack import Message, Slack
from tests.support.process import BotProcess
from tests.support.stage import IN_WAVES, QUICK, namespace_of

HALVES = ("web", "web", "worker", "worker", "worker")


class Kill(NamedTuple):
    """When a process was killed, and which half it was."""

    at: float
    half: str


class TakeOver(NamedTuple):
    """How long a rotation lay still after the worker that had it in hand was killed."""

    rotation: str
    seconds: float


class Machines:
    """The processes, and who kills them."""

    def __init__(self, environ: dict[str, str], folder: Path, redis: Redis, rng: random.Random) -> None:
        self._environ, self._folder, self._redis, self._rng = environ, folder, redis, rng
        self.key = namespace_of(environ).key
        self._running: list[BotProcess] = []
        self._watches: list[asyncio.Task[None]] = []
        self.kills: list[Kill] = []
        self.takeovers: list[TakeOver] = []

    async def start(self) -> None:
        """Begin them all, and wait until each is ready."""
        self._running = [await self._begun(half) for half in HALVES]
        await asyncio.gather(*map(_ready, self._running))

    async def _begun(self, half: str) -> BotProcess:
        return await BotProcess(self._environ, self._folder, half).start()

    async def kill_until(self, is_over: Callable[[], bool], pause: tuple[float, float]) -> None:
        """Kill one at random, again and again; each is started again a moment later."""
        while not is_over():
            await asyncio.sleep(self._rng.uniform(*pause))
            held = {place: await self._in_hand(self._running[place]) for place in range(len(HALVES))}
            place = self._chosen(held)
            victim, half = self._running[place], HALVES[place]
            await victim.killed()
            self.kills.append(Kill(time.time(), half))
            self._watches += [asyncio.create_task(self._watch(rotation, time.monotonic())) for rotation in held[place]]
            await asyncio.sleep(self._rng.uniform(0, pause[0]))
            self._running[place] = await self._begun(half)

    def _chosen(self, held: dict[int, list[Rotation]]) -> int:
        """Choose any of them, and every second time one that has a rotation in hand, where there is one."""
        busy = [place for place, rotations in held.items() if rotations]
        return self._rng.choice(busy) if busy and self._rng.random() < 0.5 else self._rng.randrange(len(HALVES))

    async def _in_hand(self, victim: BotProcess) -> list[Rotation]:
        """Return the rotations that *victim* moved last, and that a process holds at this moment."""
        movers: dict[str, tuple[str, BotProcess]] = {}
        for bot in self._running:
            for event in bot.events:
                if event.get("event") == "moved":
                    movers[event["rotation"]] = max(
                        movers.get(event["rotation"], ("", bot)), (event["timestamp"], bot), key=lambda pair: pair[0]
                    )
        mine = [rotation_id for rotation_id, (_, bot) in movers.items() if bot is victim]
        leased = [id_ for id_ in mine if await self._redis.exists(self.key("lease", id_))]
        records = [await self._record(rotation_id) for rotation_id in leased]
        return [record for record in records if record.waits_for_bot]

    async def _record(self, rotation_id: str) -> Rotation:
        return Rotation.model_validate_json(await self._redis.get(self.key("rotation", rotation_id)))

    async def _watch(self, before: Rotation, since: float) -> None:
        """See how long it takes until another process has it in hand, or has moved it already."""
        lease = self.key("lease", before.id)
        dead = await self._redis.get(lease)
        while (await self._redis.get(lease)) in (dead, None):
            if (await self._record(before.id)).version != before.version:
                break
            await asyncio.sleep(0.05)
        self.takeovers.append(TakeOver(before.id, time.monotonic() - since))

    async def records(self) -> list[Rotation]:
        """Return every rotation that there is."""
        return [await self._record(id_) for id_ in await self._redis.zrange(self.key("all"), 0, -1)]

    async def end(self) -> None:
        """Wait for what is being watched, and end them all."""
        try:
            async with asyncio.timeout(90):
                await asyncio.gather(*self._watches)
        finally:
            for bot in self._running:
                await bot.killed()


class People:
    """They rotate one key after the other, and press again where nothing happens."""

    def __init__(self, slack: Slack, aisix: Aisix, rng: random.Random) -> None:
        self._slack, self._aisix, self._rng = slack, aisix, rng
        self._numbers = iter(range(1, 10_000))
        self.names: list[str] = []

    async def rotate_until(self, is_over: Callable[[], bool]) -> None:
        """Rotate keys, each to its end."""
        while not is_over():
            await self.rotate(next(self._numbers))

    async def rotate(self, number: int) -> None:
        """Go with one key from the command to the receipt."""
        name, who = f"Key {number:03}", f"U_R{number:03}"
        old = self._aisix.add_key(name, secret=f"sk-old-{number:03}-0123456789abcdef")
        for environment in ("production", "production", "staging"):
            self._aisix.add_model(environment, f"model-{number:03}-{len(self._aisix.models)}", key=old)
        self._aisix.upstream.accept(self._secret(number))
        self._slack.add_user(who, f"requester {number}")
        self._slack.channels["C_OPS"].members.add(who)
        self.names.append(name)
        await self._until(lambda: self.cards(name), lambda: self._ask(name, who), f"a card for {name}")
        await self._until(lambda: self._is_told(name, "Receipt"), lambda: self._move(number, name, who), f"{name} done")
        assert old.id not in self._aisix.provider_keys

    @staticmethod
    def _secret(number: int) -> str:
        return f"sk-new-{number:03}-CANARY0123456789abcdef"

    async def _until(self, condition: Callable[[], object], act: Callable[[], Any], what: str) -> None:
        """Act until it is so."""
        async with asyncio.timeout(240):
            while not condition():
                self._slack.deliver_twice = self._rng.random() < 0.3
                with suppress(LookupError, ValueError):  # the button, or the form, has gone meanwhile
                    await act()
                await self._soon(condition, 5, what)

    async def _soon(self, condition: Callable[[], object], seconds: float, what: str) -> None:
        with suppress(TimeoutError, AssertionError):
            await self._slack.until(condition, timeout=seconds, what=what)

    async def _ask(self, name: str, who: str) -> None:
        await self._slack.person(who).command(name, channel="C_OPS")

    async def _move(self, number: int, name: str, who: str) -> None:
        """Press what a card of this key offers; one that was posted twice may offer what has long been done."""
        for card in self.cards(name):
            if "Delete old key" in card.buttons:
                await self._slack.person("U_APPROVER").click("Delete old key", card)
            elif "Enter new secret" in card.buttons:
                await self._give(card, number, who)
            elif "Try again" in card.buttons:
                await self._slack.person(who).click("Try again", card)

    async def _give(self, card: Message, number: int, who: str) -> None:
        person = self._slack.person(who)
        if not person.modal:
            await person.click("Enter new secret", card)
            await self._soon(lambda: person.modal, 3, "the form")
        sent = await person.submit({"secret": self._secret(number)})
        if person.modal and (sent.errors or sent.error):
            await person.close_modal(whole_stack=True)

    def cards(self, name: str) -> list[Message]:
        """Return the cards of a key."""
        return [message for message in self._slack.messages("C_OPS") if name in message.plain]

    def threads(self, name: str) -> list[list[Message]]:
        """Return what stands under each of them."""
        return [self._slack.thread(card) for card in self.cards(name)]

    def _is_told(self, name: str, words: str) -> bool:
        return any(words in reply.plain for replies in self.threads(name) for reply in replies)


async def _ready(bot: BotProcess) -> None:
    await bot.until(lambda: '"ready"' in bot.output, 60, "ready")


def environ_of(slack: Slack, aisix: Aisix, redis_url: str, **more: str) -> dict[str, str]:
    """Return the settings of every process."""
    many = {"WORKER_CONCURRENCY": "10"}
    patient = {"LOG_LEVEL": "info", "PATIENCE": "120", "PROJECTION_TIMEOUT": "60", "VERIFY_TIMEOUT": "60"}
    return {
        **QUICK,
        **IN_WAVES,
        **many,
        **patient,
        "REDIS_URL": redis_url,
        **slack.settings(),
        **aisix.settings(),
        **more,
    }


def doubled(messages: Iterable[Message]) -> list[tuple[float, float]]:
    """Return the times of every two messages that say the same milestone."""
    seen: dict[str, float] = {}
    found = []
    for message in messages:
        words = message.plain.split(" ")[0:2]
        begin = " ".join(words)
        if begin in seen:
            found.append((seen[begin], float(message.ts)))
        seen[begin] = float(message.ts)
    return found
