"""The people and messages of the workspace, and waiting for changes."""

from collections.abc import Callable
from typing import Any, TypeVar

from sandbox.slack.changes import Changes, Watcher
from sandbox.slack.site import Site
from sandbox.slack.switches import Switches
from sandbox.slack.world import Channel, Group, Message, User, World, settle

T = TypeVar("T")


class Workspace(Switches):
    """The switches, the people and the messages of `Slack`."""

    def __init__(self, **switches: Any) -> None:
        super().__init__(**switches)
        self._world = World(lambda: self.now())  # noqa: PLW0108 - a test may replace the clock later
        settle(self._world)
        self.site = Site(self._world, Changes(self._story), self)

    @property
    def users(self) -> dict[str, User]:
        """The people and bots, by id."""
        return self._world.users

    @property
    def channels(self) -> dict[str, Channel]:
        """The channels and direct messages, by id."""
        return self._world.channels

    @property
    def groups(self) -> dict[str, Group]:
        """The user groups, by id."""
        return self._world.groups

    @property
    def complaints(self) -> list[str]:
        """What Slack would have refused without a Web API answer to report it."""
        return self.site.complaints

    def add_user(self, user_id: str, name: str, **more: Any) -> User:
        """Add a person; *more* can be: guest, single_channel_guest, bot, deleted, team, stranger, email."""
        self.users[user_id] = User(user_id, name, **more)
        return self.users[user_id]

    def add_channel(self, channel_id: str, name: str, members: set[str] | None = None, **more: Any) -> Channel:
        """Add a channel; *more* can be: bot_in, archived, shared, private. Without *members*, everyone is in it."""
        people = {user.id for user in self.users.values() if not user.bot}
        self.channels[channel_id] = Channel(channel_id, name, people if members is None else members, **more)
        return self.channels[channel_id]

    def add_group(self, group_id: str, name: str, members: list[str]) -> Group:
        """Add a user group."""
        self.groups[group_id] = Group(group_id, name, list(members))
        return self.groups[group_id]

    def messages(self, channel: str) -> list[Message]:
        """Return the messages in a channel, without replies in threads."""
        return [m for m in self._world.said if m.channel == channel and not m.thread_ts]

    def thread(self, parent: Message | str) -> list[Message]:
        """Return the replies to a message."""
        ts = parent if isinstance(parent, str) else parent.ts
        channel = None if isinstance(parent, str) else parent.channel
        return [m for m in self._world.said if m.thread_ts == ts and channel in (None, m.channel)]

    def direct_messages(self, person: str) -> list[Message]:
        """Return the app's direct messages to one person."""
        return self.messages(f"D_{person}")

    def remove(self, message: Message) -> None:
        """Delete a message as a person with that right would."""
        self.site.remove(message)

    def on_change(self, watcher: Watcher) -> None:
        """Call *watcher* with (kind, message or event) at every change.

        Kinds: message, edit, delete, ephemeral, modal, modal_closed, home, command, click, choose, fill, submit,
        socket.
        """
        self.site.changes.watch(watcher)

    async def until(self, condition: Callable[[], T], timeout: float = 120, what: str = "") -> T:  # noqa: ASYNC109 - it names what ran out
        """Wait until *condition* holds, and return its value; it is checked at every change."""
        return await self.site.changes.until(condition, timeout, what)

    def _story(self) -> str:
        """Describe all messages, for the error of a time-out."""
        told = [f"  {m.channel} {m.thread_ts or ''} {m.user}: {m.plain!r} {m.buttons}" for m in self._world.said]
        for person, shown in self.site.ephemerals.items():
            told += [f"  only {person}: {each['text']!r}" for each in shown]
        return "\n".join(["There is:", *(told or ["  nothing"]), *(f"  refused: {c}" for c in self.complaints)])
