"""People who see a rotation through, whatever becomes of the bot: they read the card and press what it says."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from bot.rotation.record import Rotation, Stop
from bot.rotation.states import State
from bot.rotation.stops import StopKind
from bot.settings import WrongSettings
from handlers.views.modal import TAKE_BACK_FORM
from sandbox.aisix import Aisix
from sandbox.slack import Message, Slack
from tests.support import line  # noqa: F401 - it lays the line
from tests.support.plug import Plug
from tests.support.stage import KEY, OLD_SECRET, Stage

QUICK = {
    "SETTLE": "0.05",
    "PROBES": "1",
    "CREATE_GRACE": "1.5",
    "LEASE": "10",
    "PATIENCE": "60",
    "PROJECTION_TIMEOUT": "30",
    "VERIFY_TIMEOUT": "30",
    "REDIS_TIMEOUT": "1",
    "CONTROL_PLANE_TIMEOUT": "1.5",
    "PROBE_TIMEOUT": "1.5",
    "STATUS_TIMEOUT": "1.5",
    "SLACK_TIMEOUT": "2",
    "SHUTDOWN_GRACE": "0.1",
    "SWEEP_INTERVAL": "1",
    "WORKER_CONCURRENCY": "1",
}
"""Short where a fault is waited out, long where a slow machine would be mistaken for one."""

PATIENCE = 1500.0
LOOK = 0.3
MOST_THOUGHT = 1.5
MOST_STIRS = 3
"""How often the bot is begun once more after the end, for faults that have not happened yet."""

SECRET, ANOTHER, APPROVE = "Enter new secret", "Another secret", "Delete old key"
BACK, AGAIN, START, VERIFY = "Roll back", "Try again", "Start", "Verify again"


@dataclass(eq=False)
class Play:
    """One rotation, from the command to its end, of a bot that is begun again whenever it dies."""

    stage: Stage
    plug: Plug
    redis: Any
    secret: str
    back: bool = False
    wrong: str = ""
    """A secret that the upstream refuses, given before *secret* if there is one."""

    cancelled: bool = False
    followed: str = ""
    """The id of the rotation; empty until the secret is given."""

    approved: bool = False
    deleted_early: bool = False
    unsaid: list[Stop] = field(default_factory=list)
    """Stops of which the card does not say what the record does."""

    refusals: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._given_up: set[str] = set()
        self.up = asyncio.Event()
        self.key = self.stage.namespace.key
        self._old = self.stage.key_named(KEY).id
        self.stage.aisix.on_change(self._look)

    def _look(self, event: Any) -> None:
        call = event.subject
        if event.kind == "call" and call.method == "DELETE" and self._old in call.path and not self.approved:
            self.deleted_early = True

    async def to_the_end(self) -> Rotation:
        """Play until the rotation is over and people have been shown everything; return its record."""
        bot, people = asyncio.create_task(self._keep_alive()), asyncio.create_task(self._see_it_through())
        try:
            async with asyncio.timeout(PATIENCE):
                await asyncio.wait([bot, people], return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (bot, people):
                task.cancel()
            await asyncio.wait([bot, people])
        if not bot.cancelled():
            bot.result()
        people.result()
        record = await self._record()
        assert record
        return record

    async def _see_it_through(self) -> None:
        for stirred in range(MOST_STIRS + 1):
            while not await self._is_over():
                await self._turn()
            if all(plan.happened for plan in self.plug.plans) or stirred == MOST_STIRS:
                return
            await self._stir()

    async def _stir(self) -> None:
        """Begin the bot once more, with an end that people may not have been shown: its sweep has something to do."""
        await self.redis.zadd(self.key("unshown"), {self.followed: 0})
        self.up.clear()
        self.plug.crash()

    # --- the bot ---

    async def _keep_alive(self) -> None:
        try:
            while True:
                life = self.plug.begin(self.live())
                await asyncio.wait([life])
                self.up.clear()
                self._why_it_ended(life)
                await self._time_passes()
        finally:
            self.plug.crash()
            await self.plug.buried()

    async def live(self) -> None:
        async with self.stage.bot():
            if self.plug.moment == "start":
                self.plug.moment = "asked"
            self.up.set()
            await asyncio.Event().wait()

    def _why_it_ended(self, life: asyncio.Task[None]) -> None:
        error = None if life.cancelled() else life.exception()
        if isinstance(error, WrongSettings):
            self.refusals.append(str(error))
        elif error is not None:
            raise error

    async def _time_passes(self) -> None:
        """Let the leases of the dead run out: how long that takes is asserted elsewhere."""
        await self.plug.buried()
        await self._note_losses()
        leases = [key async for key in self.redis.scan_iter(self.key("lease", "*"))]
        if leases:
            await self.redis.delete(*leases)

    async def _note_losses(self) -> None:
        """Note which messages the dead had posted and not remembered: they may be posted once more, and no others."""
        known = {ts async for key in self.redis.scan_iter(self.key("shown", "*")) for ts in await self.redis.hvals(key)}
        self.plug.lost |= {message.ts for message in self.said()} - known

    def said(self) -> list[Message]:
        slack = self.stage.slack
        return [said for card in slack.messages("C_OPS") for said in (card, *slack.thread(card))]

    # --- the people ---

    async def _record(self) -> Rotation | None:
        stored = await self.redis.get(self.key("rotation", self.followed))
        return Rotation.model_validate_json(stored) if stored else None

    async def _is_over(self) -> bool:
        record = await self._record() if self.followed else None
        if record is None or not record.is_over:
            return False
        if record.state is State.CANCELLED and not self.cancelled:  # its card could not be posted: asked for again
            self._given_up.add(self.followed)
            self.followed = ""
            return False
        return await self.redis.zscore(self.key("unshown"), self.followed) is None

    async def _card(self) -> Message | None:
        """Find the card: the one that the bot goes on with where an answer of Slack's was lost."""
        cards = self.stage.slack.messages("C_OPS")
        if self.followed:
            known = await self.redis.hget(self.key("shown", self.followed), "card")
            return next((card for card in cards if card.ts == known), None)
        good = [card for card in cards if not any(rotation in str(card.blocks) for rotation in self._given_up)]
        return good[-1] if good else None

    async def _turn(self) -> None:
        await self.up.wait()
        card = await self._card()
        with suppress(LookupError):  # the card has changed in this very moment
            if card is None:
                await self._ask()
            elif SECRET in card.buttons:
                await self._is_swept()
                await self.give(card)
            elif START in card.buttons:
                await self._is_swept()
                await self.stage.slack.person("U_APPROVER").click(START, card)
                await self._wait(lambda: START not in card.buttons)
            elif APPROVE in card.buttons:
                await self._is_swept()
                await self._decide(card)
            elif AGAIN in card.buttons:
                await self._go_on(card)
            elif VERIFY in card.buttons:  # the evidence is too old for an approval
                await self.stage.slack.person("U_APPROVER").click(VERIFY, card)
                await self._wait(lambda: VERIFY not in card.buttons)
            else:
                await self._wait(lambda: {SECRET, START, AGAIN, APPROVE, VERIFY} & set(card.buttons), LOOK)

    async def _is_swept(self) -> None:
        """Let a sweep come by while people think, in every rotation: else it would be chance in which it does."""
        with suppress(TimeoutError):
            async with asyncio.timeout(MOST_THOUGHT):
                while await self.redis.zcount(self.key("due"), 0, 0):  # noqa: ASYNC110 - Redis has no event for it
                    await asyncio.sleep(0.05)

    async def _wait(self, condition: Callable[[], object], seconds: float = 5) -> None:
        with suppress(TimeoutError):
            await self.stage.slack.until(condition, timeout=seconds)

    async def _ask(self) -> None:
        person = self.stage.slack.person("U_REQUESTER")
        seen = len(person.ephemerals), len(self.stage.slack.messages("C_OPS"))
        await person.command(KEY)
        await self._wait(lambda: (len(person.ephemerals), len(self.stage.slack.messages("C_OPS"))) != seen)

    async def give(self, card: Message, button: str = SECRET) -> None:
        person = self.stage.slack.person("U_REQUESTER")
        told = len(person.ephemerals)
        self.followed = (await person.click(button, card)).payload["actions"][0]["value"]
        await self._wait(lambda: person.modal or len(person.ephemerals) > told)
        if person.modal is None:
            return
        if person.modal["callback_id"] == TAKE_BACK_FORM:
            await person.submit()
        record = await self._record()
        secret = self.wrong if self.wrong and record and record.attempt == 0 else self.secret
        sent = await person.submit({"secret": secret})
        self.plug.sent.append(f"{sent.errors}")
        if person.modal:
            await person.close_modal()
        else:
            await self._wait(lambda: button not in card.buttons)

    async def _decide(self, card: Message) -> None:
        self.approved = not self.back
        button, who = (BACK, "U_REQUESTER") if self.back else (APPROVE, "U_APPROVER")
        person = self.stage.slack.person(who)
        await person.click(button, card)
        await self._wait(lambda: button not in card.buttons or person.modal)
        if person.modal:  # something speaks against the delete
            await person.submit({"reason": "known trouble"})
            await self._wait(lambda: button not in card.buttons)

    async def _go_on(self, card: Message) -> None:
        record = await self._record()
        if record and record.stop:
            await self._read(card, record.stop)
        if self.wrong and record and record.stop and record.stop.kind is StopKind.REJECTED:
            await self.give(card, ANOTHER)
        else:
            await self.stage.slack.person("U_REQUESTER").click(AGAIN, card)
            await self._wait(lambda: AGAIN not in card.buttons)

    async def _read(self, card: Message, stop: Stop) -> None:
        """Read on the card why it stopped, before anything is pressed."""

        def is_said() -> bool:
            said = card.plain.replace("`", "")
            parts = ("stopped", f": {stop.headline}", *stop.sentence.rstrip(".").split(". "))
            return all(text.replace("`", "") in said for text in parts)

        await self._wait(is_said)
        self.unsaid += [] if is_said() else [stop]


@asynccontextmanager
async def play(  # noqa: PLR0913 - what a rotation is to be like
    redis_url: str,
    number: int,
    plug: Plug,
    *,
    secret: str,
    wrong: str = "",
    back: bool = False,
    overrides: Mapping[str, str] = QUICK,
) -> AsyncIterator[Play]:
    """Set a small stage behind *plug*: one model in one environment with one replica; Redis's database *number*."""
    async with AsyncExitStack() as stack:
        slack, aisix = Slack(), Aisix(environments={"production": 1})
        slack.doors.append(plug.door("slack"))
        for part in ("control plane", "gateway", "status"):
            aisix.stand_before(part, plug.door(part))
        await stack.enter_async_context(slack)
        await stack.enter_async_context(aisix)
        key = aisix.add_key(KEY, secret=OLD_SECRET, environments=["production"])
        aisix.add_model("production", "chat-large", key=key, upstream="gpt-4o")
        aisix.upstream.accept(secret)
        url = f"{redis_url}?db={number}"
        redis = await stack.enter_async_context(Redis.from_url(url, decode_responses=True))
        await redis.flushdb()
        await redis.script_flush()
        yield Play(Stage(slack, aisix, url, overrides=dict(overrides)), plug, redis, secret, wrong=wrong, back=back)
