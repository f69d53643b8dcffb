"""The workspace: who is there, which channels, and what has been said."""

import itertools
import secrets
import time
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from sandbox.slack import reading

Json = dict[str, Any]
Blocks = list[Json]

HOME = "T_HOME"
OTHER = "T_OTHER"
BOT_USER = "U_KEYTURN"
BOT_ID = "B_KEYTURN"
APP_ID = "A_KEYTURN"


@dataclass
class User:
    """A person, or a bot user."""

    id: str
    name: str
    guest: bool = False
    single_channel_guest: bool = False
    bot: bool = False
    deleted: bool = False
    team: str = HOME
    stranger: bool = False


@dataclass
class Channel:
    """A channel or, with `person`, the direct messages between the bot and that person."""

    id: str
    name: str
    members: set[str] = field(default_factory=set)
    bot_in: bool = True
    archived: bool = False
    shared: bool = False
    private: bool = False
    """To an app that is not in it, it does not exist."""

    person: str | None = None


@dataclass
class Group:
    """A user group; change `members` at will."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)


@dataclass
class Message:
    """A message as it stands now; `edits` holds what it said before, oldest first."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: Blocks
    thread_ts: str | None = None
    metadata: Json | None = None
    edits: list[tuple[str, Blocks]] = field(default_factory=list)
    deleted: bool = False
    names: Callable[[], Mapping[str, str]] = field(default=dict, repr=False, compare=False)
    """What the ids of people, groups and channels are called."""

    @property
    def buttons(self) -> list[str]:
        """The words on its buttons."""
        return [reading.caption(element) for _block, element in reading.buttons(self.blocks)]

    @property
    def plain(self) -> str:
        """Everything a person can read in it."""
        shown = reading.plain(self.blocks) if self.blocks else reading.spoken(self.text)
        return reading.named(shown, self.names())

    def edit(self, text: str, blocks: Blocks) -> None:
        """Say something else from now on."""
        self.edits.append((self.text, self.blocks))
        self.text, self.blocks = text, blocks

    def payload(self) -> Json:
        """Show it as Slack does in answers and interaction payloads."""
        shown: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text, "team": HOME}
        if self.user == BOT_USER:
            shown |= {"bot_id": BOT_ID, "app_id": APP_ID}
        if self.blocks:
            shown["blocks"] = deepcopy(self.blocks)
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.edits:
            shown["edited"] = {"user": self.user, "ts": self.ts}
        return shown


class World:
    """Everything that Slack remembers, with the rules for finding it again."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, Group] = {}
        self.said: list[Message] = []
        self._last_ts = 0
        self._numbers = itertools.count(1)

    def next_ts(self) -> str:
        """A time stamp that no other message has, however fast they come."""
        self._last_ts = max(self._last_ts + 1, int(self.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """An id that no other thing has."""
        return f"{prefix}{next(self._numbers):05d}{secrets.token_hex(3).upper()}"

    def direct_channel(self, person: str) -> Channel:
        """The direct messages between the bot and *person*, opened when first needed."""
        made = Channel(f"D_{person}", "directmessage", {person}, person=person)
        return self.channels.setdefault(made.id, made)

    def named(self, blocks: Blocks) -> Blocks:
        """A copy in which every block and element has an id, as Slack gives those that came without."""
        named = deepcopy(blocks)
        for block in named:
            block.setdefault("block_id", self.next_id("b"))
            for element in self._held(block):
                element.setdefault("action_id", self.next_id("a"))
        return named

    def _held(self, block: Json) -> Blocks:
        if block["type"] not in ("actions", "section", "input", "card"):
            return []
        held = [*block.get("elements", []), *block.get("actions", []), block.get("accessory"), block.get("element")]
        return [element for element in held if element and element["type"] != "image"]

    def names(self) -> dict[str, str]:
        """What everyone and everything with an id is called."""
        return {each.id: each.name for table in (self.users, self.channels, self.groups) for each in table.values()}

    def find(self, channel: str, ts: str) -> Message | None:
        """The message at *ts*, unless it was deleted or never was."""
        return next((m for m in self.said if m.channel == channel and m.ts == ts), None)

    def say(self, message: Message) -> Message:
        """Put a message where everyone in its channel can see it."""
        self.said.append(message)
        return message

    def shown(self, message: Message) -> Json:
        """A message as payloads show it; one with replies names its own thread."""
        replies = sum(self._answers(m, message.channel, message.ts) for m in self.said)
        return message.payload() | ({"thread_ts": message.ts, "reply_count": replies} if replies else {})

    def has_replies(self, channel: str, ts: str) -> bool:
        """Whether somebody answered at *ts*, also if what stood there is gone."""
        return any(self._answers(message, channel, ts) for message in self.said)

    @staticmethod
    def _answers(message: Message, channel: str, ts: str) -> bool:
        return message.thread_ts == ts and message.channel == channel

    def unsay(self, message: Message) -> None:
        """Take a message away for everyone."""
        message.deleted = True
        self.said.remove(message)


def settle(world: World) -> None:
    """Fill a new world with the people and places that every test may count on."""
    for user in (
        User("U_REQUESTER", "requester"),
        User("U_APPROVER", "approver"),
        User("U_MEMBER", "member"),
        User("U_GUEST", "guest", guest=True),
        User("U_STRANGER", "stranger", team=OTHER, stranger=True),
        User(BOT_USER, "keyturn", bot=True),
    ):
        world.users[user.id] = user
    people = {user.id for user in world.users.values() if not user.bot}
    world.channels["C_OPS"] = Channel("C_OPS", "ops", set(people))
    world.channels["C_ELSEWHERE"] = Channel("C_ELSEWHERE", "elsewhere", set(people), bot_in=False)
    world.groups["S_APPROVERS"] = Group("S_APPROVERS", "key-approvers", ["U_APPROVER"])
