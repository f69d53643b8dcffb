"""The workspace's data: people, channels and messages."""

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
    email: str = ""
    """Empty: one made of the name."""


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
    """To an app that is not in it, the channel does not exist."""

    person: str | None = None


@dataclass
class Group:
    """A user group; `members` may be changed."""

    id: str
    name: str
    members: list[str] = field(default_factory=list)


@dataclass
class File:
    """A file, from the moment that the app asks where to upload it; `content` is what was uploaded."""

    id: str
    name: str
    length: int
    content: bytes | None = None
    title: str = ""
    shared: bool = False

    def payload(self) -> Json:
        """Return it as messages name it."""
        return {"id": self.id, "name": self.name, "title": self.title, "size": self.length}


@dataclass
class Message:
    """The current state of a message; `edits` has its earlier contents, oldest first."""

    channel: str
    ts: str
    user: str
    text: str
    blocks: Blocks
    thread_ts: str | None = None
    metadata: Json | None = None
    files: list[File] = field(default_factory=list)
    edits: list[tuple[str, Blocks]] = field(default_factory=list)
    deleted: bool = False
    names: Callable[[], Mapping[str, str]] = field(default=dict, repr=False, compare=False)
    """Returns the names of people, groups and channels, by id."""

    @property
    def buttons(self) -> list[str]:
        """The labels of its buttons."""
        return [reading.caption(element) for _block, element in reading.buttons(self.blocks)]

    @property
    def plain(self) -> str:
        """All text that a person can read in it."""
        shown = reading.plain(self.blocks) if self.blocks else reading.spoken(self.text)
        return reading.named("\n".join([shown, *(file.title for file in self.files)]).strip(), self.names())

    def edit(self, text: str, blocks: Blocks) -> None:
        """Change its content."""
        self.edits.append((self.text, self.blocks))
        self.text, self.blocks = text, blocks

    def payload(self) -> Json:
        """Return it as Slack shows it in answers and interaction payloads."""
        shown: Json = {"type": "message", "user": self.user, "ts": self.ts, "text": self.text, "team": HOME}
        if self.user == BOT_USER:
            shown |= {"bot_id": BOT_ID, "app_id": APP_ID}
        if self.blocks:
            shown["blocks"] = deepcopy(self.blocks)
        if self.files:
            shown["files"] = [file.payload() for file in self.files]
        if self.thread_ts:
            shown["thread_ts"] = self.thread_ts
        if self.edits:
            shown["edited"] = {"user": self.user, "ts": self.ts}
        return shown


class World:
    """Everything that Slack stores, and how to find it."""

    def __init__(self, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.users: dict[str, User] = {}
        self.channels: dict[str, Channel] = {}
        self.groups: dict[str, Group] = {}
        self.said: list[Message] = []
        self._last_ts = 0
        self._numbers = itertools.count(1)

    def next_ts(self) -> str:
        """Return a time stamp that no other message has."""
        self._last_ts = max(self._last_ts + 1, int(self.now() * 1_000_000))
        return f"{self._last_ts // 1_000_000}.{self._last_ts % 1_000_000:06d}"

    def next_id(self, prefix: str) -> str:
        """Return a unique id."""
        return f"{prefix}{next(self._numbers):05d}{secrets.token_hex(3).upper()}"

    def direct_channel(self, person: str) -> Channel:
        """Return the direct messages between the bot and *person*, opened when first needed."""
        made = Channel(f"D_{person}", "directmessage", {person}, person=person)
        return self.channels.setdefault(made.id, made)

    def named(self, blocks: Blocks) -> Blocks:
        """Return a copy with an id on every block and element, as Slack adds missing ones."""
        named = deepcopy(blocks)
        for block in named:
            block.setdefault("block_id", self.next_id("b"))
            for element in self._held(block):
                element.setdefault("action_id", self.next_id("a"))
        return named

    def _held(self, block: Json) -> Blocks:
        if block["type"] not in ("actions", "section", "input"):
            return []
        held = [*block.get("elements", []), block.get("accessory"), block.get("element")]
        return [element for element in held if element and element["type"] != "image"]

    def names(self) -> dict[str, str]:
        """Return the names of people, channels and groups, by id."""
        return {each.id: each.name for table in (self.users, self.channels, self.groups) for each in table.values()}

    def find(self, channel: str, ts: str) -> Message | None:
        """Return the message at *ts*, or None if it was deleted or never existed."""
        return next((m for m in self.said if m.channel == channel and m.ts == ts), None)

    def say(self, message: Message) -> Message:
        """Add a message to its channel."""
        self.said.append(message)
        return message

    def shown(self, message: Message) -> Json:
        """Return a message as payloads show it; one with replies names its own thread."""
        replies = sum(self._answers(m, message.channel, message.ts) for m in self.said)
        return message.payload() | ({"thread_ts": message.ts, "reply_count": replies} if replies else {})

    def has_replies(self, channel: str, ts: str) -> bool:
        """Tell whether the message at *ts* has replies, even if it was deleted."""
        return any(self._answers(message, channel, ts) for message in self.said)

    @staticmethod
    def _answers(message: Message, channel: str, ts: str) -> bool:
        return message.thread_ts == ts and message.channel == channel

    def unsay(self, message: Message) -> None:
        """Delete a message for everyone."""
        message.deleted = True
        self.said.remove(message)


def settle(world: World) -> None:
    """Fill a new world with the people and channels that every test may rely on."""
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
