"""The bot's client of the real Valkey, held: every command waits for its turn, and may be lost on the way."""

from typing import Any, Self

from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Away

from bot.storage.scripts import ENTERED
from tests.bot.values import NAMESPACE
from tests.simulation.clockwork import ACTOR, Actor, Switchboard
from tests.simulation.laws import Laws

RECORD, LEASE = NAMESPACE.key("rotation", ""), NAMESPACE.key("lease", "")
LONG = 1000
"""The server's time is not the simulation's: there a lease lasts so much longer, and ends when it is told to."""


class HeldRedis(Redis):
    switchboard: Switchboard
    laws: Laws
    leases: dict[str, tuple[float, Actor | None]]

    @classmethod
    def to(cls, url: str, switchboard: Switchboard, laws: Laws) -> Self:
        redis: Self = cls.from_url(url, decode_responses=True)  # type: ignore[assignment]
        redis.switchboard, redis.laws, redis.leases = switchboard, laws, {}
        laws.holder = redis.holder
        return redis

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        async def carry_out() -> Any:
            answer = await self._carry_out(*_with_long_leases(args), **options)
            if _lease(args) and answer and isinstance(answer, list):  # the server's time, where a lease is verified
                answer = [int(self.switchboard.now), int(self.switchboard.now % 1 * 1_000_000)]
            self._notice(args, answer)
            return answer

        return await self.switchboard.call(f"redis {_said(args)}", carry_out, lambda fate: Away(str(fate)))

    async def _carry_out(self, *args: Any, **options: Any) -> Any:
        self.switchboard.in_flight += 1
        try:
            return await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        finally:
            self.switchboard.in_flight -= 1

    def _notice(self, args: tuple[Any, ...], answer: Any) -> None:
        lease = _lease(args)
        if lease is not None:
            self._notice_lease(lease, args, answer)
        elif args[0] == "GET" and str(args[1]).startswith(RECORD):
            self.laws.read()
        elif args[0] == "EVALSHA" and str(args[3]).startswith(RECORD) and answer in ("OK", ENTERED):
            self.laws.saved(args[3 + args[2]])

    def _notice_lease(self, lease: str, args: tuple[Any, ...], answer: Any) -> None:
        if args[0] == "EVALSHA" and len(args) == 5:
            if self.leases.get(lease, (0.0, None))[1] is ACTOR.get():  # else it is another's by now
                self.leases.pop(lease, None)
        elif answer:
            seconds = args[args.index("PX") + 1] if "PX" in args else args[-1]
            self.leases[lease] = (self.switchboard.now + seconds / 1000, ACTOR.get())

    def holder(self, rotation_id: str) -> Actor | None:
        return self.leases.get(f"{LEASE}{rotation_id}", (0.0, None))[1]

    async def expire_leases(self) -> None:
        """End the leases whose time has come, unless their holder lives and renews them."""
        for lease, (until, holder) in list(self.leases.items()):
            if until <= self.switchboard.now and (holder is None or holder.killed or holder.over or holder.frozen):
                del self.leases[lease]
                await self._carry_out("DEL", lease)


def _lease(args: tuple[Any, ...]) -> str | None:
    name = str(args[1] if args[0] == "SET" else args[3] if args[0] == "EVALSHA" and len(args) > 3 else "")
    return name if name.startswith(LEASE) else None


def _with_long_leases(args: tuple[Any, ...]) -> tuple[Any, ...]:
    if _lease(args) is None or (args[0] == "EVALSHA" and len(args) == 5):
        return args
    place = args.index("PX") + 1 if "PX" in args else len(args) - 1
    return (*args[:place], args[place] * LONG, *args[place + 1 :])


def _said(args: tuple[Any, ...]) -> str:
    return f"{args[0]} {args[3] if args[0] == 'EVALSHA' else args[1] if len(args) > 1 else ''}"
