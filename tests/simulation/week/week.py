"""A week: forty rotations, and the people who answer what they are told."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Any
from zoneinfo import ZoneInfo

from bot.rotation.record import Rotation
from sandbox.slack import Message, reading
from sandbox.slack.person import Person as Hand
from tests.simulation.town import fixed
from tests.simulation.week.clock import Loop
from tests.simulation.week.kinds import KINDS, SEVERAL, Kind
from tests.simulation.week.log import BEGIN, Act, Log, Saved, heard
from tests.simulation.week.office import ENVIRONMENTS, SHOWN, Office
from tests.simulation.week.people import PEOPLE, Person, answers_at, in_working_time

WEEK = timedelta(days=7)
MORNING = timedelta(hours=20, minutes=5)
"""When some people first open Home; then each day."""

AT_HOME = ("U_PROMPT", "U_APPROVING")

STARTS = timedelta(hours=30)
"""The working time in which rotations begin: what begins later has not the time to end within the week."""

TO_THE_BATCH = timedelta(hours=6)
"""The working time until somebody asks for several at once."""

LATE = 8
"""Of so many rotations, one begins at a time when hardly anybody works."""

DEPLOYED = timedelta(hours=16)
"""When the gateways first start again, with empty counters; then each day, early in the morning."""

CHANNEL, GROUP, SECOND = "C_OPS", "S_APPROVERS", "S_SECOND"
WORDS = {"secret": "", "reason": "as planned", "ticket": "", "question": "What for?"} | dict.fromkeys(
    ("what", "where", "since", "reach"), "unknown"
)
"""What people write into the fields of forms."""

TRIES = 5
ON_IT = ("I'm on it",)


class Rota:
    """One rotation of the week: its kind, its key, and who asks for it when."""

    def __init__(self, number: int, kind: Kind, requester: Person, at: datetime) -> None:
        self.number, self.kind, self.requester, self.at = number, kind, requester, at
        self.key, self.secret, self.given = f"{kind.key} {number:02}", "", 0
        self.id = ""
        self.befallen: set[int] = set()
        self.busy: set[str] = set()
        """Who is at its card at this moment."""


class Week:
    """Plays the week once."""

    def __init__(self, loop: Loop, redis_url: str, chance: Random, settings: Mapping[str, str]) -> None:
        self.office, self.chance = Office(loop, redis_url, settings), chance
        self.log = Log(ZoneInfo(settings.get("TIME_ZONE", "UTC")), asks_directly="APPROVER_DM" in settings)
        self.rotas = list(self._planned())
        self._of: dict[str, Rota] = {}
        self._cards: dict[str, Message] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self.homes: dict[str, str] = {}
        """What each person who is still there reads on Home at the end."""

        self.faults: list[BaseException] = []
        self.errors: list[Any] = []
        """What the bot has logged as an error."""

        self._settle()

    def _planned(self) -> Iterator[Rota]:
        kinds = [kind for kind in KINDS for _ in range(kind.times)]
        askers = [person for person in PEOPLE.values() if not (person.approves or person.is_second)]
        for number, kind in enumerate(self.chance.sample(kinds, len(kinds)), start=1):
            person = PEOPLE[kind.by or askers[number % len(askers)].id]
            stays = STARTS if person.leaves is None else STARTS / 2
            at = in_working_time(BEGIN, stays * self.chance.random())
            at += timedelta(hours=0 if number % LATE else self.chance.uniform(8, 12))
            yield Rota(number, kind, person, at)

    def _settle(self) -> None:
        slack, aisix = self.office.slack, self.office.aisix
        for person in PEOPLE.values():
            slack.add_user(person.id, person.id.removeprefix("U_").lower())
        slack.channels[CHANNEL].members |= PEOPLE.keys()
        slack.groups[GROUP].members = [person.id for person in PEOPLE.values() if person.approves]
        slack.add_group(SECOND, "second-line", [person.id for person in PEOPLE.values() if person.is_second])
        for rota in self.rotas:
            old = f"sk-old-{rota.number}-0123456789abcdef"
            key = aisix.add_key(rota.key, secret=old, provider=SEVERAL if rota.kind.in_a_batch else "openai")
            for number in range(1 if rota.number % 4 else 2):
                environment = ENVIRONMENTS[(rota.number + number) % len(ENVIRONMENTS)]
                aisix.add_model(environment, f"chat-{rota.number}", key=key, upstream="gpt-4o")
        self.office.wire.project()
        slack.on_change(self._heard)
        self.office.on_saved.append(self._saved)

    async def play(self) -> Log:
        """Play it to its end."""
        async with self.office.open():
            for rota in (rota for rota in self.rotas if not rota.kind.in_a_batch):
                self._later(rota.at, partial(self._ask, rota))
            self._later(in_working_time(BEGIN, TO_THE_BATCH), self._ask_for_several)
            for day in range(WEEK.days):
                self._later(BEGIN + DEPLOYED + timedelta(days=day), self._deploy)
                self._later(BEGIN + MORNING + timedelta(days=day), partial(self._go_home, AT_HOME))
            for person in PEOPLE.values():
                self._later(BEGIN + (person.leaves or 2 * WEEK), partial(self._leave, person))
            await asyncio.sleep(WEEK.total_seconds())
            self.log.ended = self.office.now()
            await self._go_home([person.id for person in PEOPLE.values() if person.leaves is None])
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
        return self.log

    # --- what happens ---

    def _saved(self, record: Rotation) -> None:
        self.log.saved.append(Saved(self.office.now(), record))
        rota = self._of.get(record.id) or self._named(record)
        if not rota.id and rota.kind.in_a_batch:  # who asked for the batch waits for its next card
            self.log.acts.append(Act(self.office.now(), rota.requester.id, record.id, "the batch"))
        self._of[record.id], rota.id = rota, record.id
        for number, befalls in enumerate(rota.kind.befalls):
            if number not in rota.befallen and befalls.when(record):
                rota.befallen.add(number)
                at = self.office.now() + timedelta(seconds=befalls.seconds)
                self._later(at, partial(befalls.deed, self.office, record, rota.secret))

    def _named(self, record: Rotation) -> Rota:
        return next(rota for rota in self.rotas if rota.key in record.plan.old_key.display_name)

    def _heard(self, kind: str, what: Any) -> None:
        record = SHOWN.get()
        said = heard(kind, what, self.office.now(), record, self._groups)
        if said is None:
            return
        self.log.said.append(said)
        if record and isinstance(what, Message) and what.channel == CHANNEL and not what.thread_ts:
            self._cards.setdefault(record.id, what)
        for person in sorted(said.pinged & PEOPLE.keys()):
            at = answers_at(PEOPLE[person], said.at, BEGIN, self.chance)
            if at and said.rotation:
                self._later(at, partial(self._look, PEOPLE[person], self._of[said.rotation]))

    def _groups(self) -> dict[str, frozenset[str]]:
        return {group.id: frozenset(group.members) for group in self.office.slack.groups.values()}

    def _later(self, at: datetime, work: Callable[[], Awaitable[None]]) -> None:
        async def then() -> None:
            await asyncio.sleep(max(0.0, (at - self.office.now()).total_seconds()))
            await work()

        task = asyncio.get_running_loop().create_task(then())
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (fault := task.exception()):
            self.faults.append(fault)

    async def _deploy(self) -> None:
        for replica in self.office.aisix.all_replicas():
            replica.restart()

    async def _leave(self, person: Person) -> None:
        self.office.slack.users[person.id].deleted = True
        members = self.office.slack.groups[GROUP].members
        if person.id in members:
            members.remove(person.id)

    # --- what people do ---

    async def _go_home(self, people: Iterable[str]) -> None:
        """Have people open Home."""
        for person in people:
            hand = self.office.slack.person(person)
            await hand.open_home()
            await asyncio.sleep(5)
            self.homes[person] = reading.plain(hand.home["blocks"]) if hand.home else ""

    async def _ask(self, rota: Rota) -> None:
        await self.office.slack.person(rota.requester.id).command(rota.key, CHANNEL)
        await asyncio.sleep(1)
        assert rota.id, rota.key
        self.log.acts.append(Act(rota.at, rota.requester.id, rota.id, "/rotate-key"))
        await asyncio.sleep(60)
        await self._look(rota.requester, rota)

    async def _ask_for_several(self) -> None:
        several = [rota for rota in self.rotas if rota.kind.in_a_batch]
        who, at = several[0].requester.id, self.office.now()
        hand = self.office.slack.person(who)
        await hand.command("several", CHANNEL)
        self.log.acts += [Act(at, who, "", "several")]
        await asyncio.sleep(5)
        await hand.submit({"provider": SEVERAL})

    async def _look(self, person: Person, rota: Rota) -> None:
        """Look at the card, and press what this person would press, each button once."""
        if person.id in rota.busy:
            return
        rota.busy.add(person.id)
        would = [*(rota.kind.requester if person is rota.requester else self._of_role(rota.kind, person))]
        while button := next((label for label in would if label in self._cards[rota.id].buttons), None):
            would.remove(button)
            await self._press(button, person, rota)
            await asyncio.sleep(50)
            if button in self._cards[rota.id].buttons:  # it was refused
                break
        rota.busy.discard(person.id)

    async def _press(self, button: str, person: Person, rota: Rota) -> None:
        self.log.acts.append(Act(self.office.now(), person.id, rota.id, button))
        hand = self.office.slack.person(person.id)
        await hand.click(button, self._cards[rota.id])
        await asyncio.sleep(10)
        await self._fill(hand, rota)

    @staticmethod
    def _of_role(kind: Kind, person: Person) -> tuple[str, ...]:
        return kind.approver if person.approves else ON_IT if person.is_second else ()

    async def _fill(self, hand: Hand, rota: Rota) -> None:
        for _ in range(TRIES):
            if hand.modal is None:
                return
            await hand.submit(self._typed(hand.modal, rota))
            await asyncio.sleep(10)
        raise AssertionError(f"{hand.id} can't send {hand.modal} of {rota.key}")

    def _typed(self, modal: Any, rota: Rota) -> dict[str, str]:
        fields = {block["block_id"] for block, _ in reading.elements(modal["blocks"])} & WORDS.keys()
        typed = {name: WORDS[name] for name in fields}
        return typed | ({"secret": self._secret(rota)} if "secret" in fields else {})

    def _secret(self, rota: Rota) -> str:
        is_good = rota.kind.secrets[min(rota.given, len(rota.kind.secrets) - 1)]
        rota.given += 1
        rota.secret = f"sk-new-{rota.number}-{rota.given}-{self.chance.getrandbits(64):016x}"
        if is_good:
            self.office.aisix.upstream.accept(rota.secret)
        return rota.secret


def played(seed: int, redis_url: str, settings: Mapping[str, str] = MappingProxyType({})) -> Week:
    """Play the week of a seed, with some settings."""
    loop = Loop(seed)
    try:
        with fixed(seed) as errors:
            week = Week(loop, redis_url, Random(seed), settings)
            loop.run_until_complete(week.play())
            week.errors = errors
            return week
    finally:
        loop.close()
