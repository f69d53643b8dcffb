"""Who is in the workspace, what has been said there, and waiting for it."""

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
        self._world = World(lambda: self.now())  # noqa: PLW0108 - the clock may be replaced later
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
        """What Slack would have refused where no answer of the Web API could say so."""
        return self.site.complaints

    def add_user(self, user_id: str, name: str, **more: Any) -> User:
        """Add a person: guest, single_channel_guest, bot, deleted, team, stranger."""
        self.users[user_id] = User(user_id, name, **more)
        return self.users[user_id]

    def add_channel(self, channel_id: str, name: str, members: set[str] | None = None, **more: Any) -> Channel:
        """Add a channel: bot_in, archived, shared, private; with no *members* named, everyone is in it."""
        people = {user.id for user in self.users.values() if not user.bot}
        self.channels[channel_id] = Channel(channel_id, name, people if members is None else members, **more)
        return self.channels[channel_id]

    def add_group(self, group_id: str, name: str, members: list[str]) -> Group:
        """Add a user group."""
        self.groups[group_id] = Group(group_id, name, list(members))
        return self.groups[group_id]

    def messages(self, channel: str) -> list[Message]:
        """What stands in a channel, without the replies in threads."""
        return [m for m in self._world.said if m.channel == channel and not m.thread_ts]

    def thread(self, parent: Message | str) -> list[Message]:
        """The replies to a message."""
        ts = parent if isinstance(parent, str) else parent.ts
        channel = None if isinstance(parent, str) else parent.channel
        return [m for m in self._world.said if m.thread_ts == ts and channel in (None, m.channel)]

    def direct_messages(self, person: str) -> list[Message]:
        """What the app has written to one person."""
        return self.messages(f"D_{person}")

    def remove(self, message: Message) -> None:
        """Have a person who may do that delete a message."""
        self.site.remove(message)

    def on_change(self, watcher: Watcher) -> None:
        """Call *watcher* with (kind, message or event) at every change.

        Kinds: message, edit, delete, ephemeral, modal, modal_closed, home, command, click, choose, fill, submit,
        socket.
        """
        self.site.changes.watch(watcher)

    async def until(self, condition: Callable[[], T], timeout: float = 30, what: str = "") -> T:  # noqa: ASYNC109 - it names what ran out
        """Wait until *condition* holds, looking again at every change; its value is returned."""
        return await self.site.changes.until(condition, timeout, what)

    def _story(self) -> str:
        """What there is to see, for the message of a time-out."""
        told = [f"  {m.channel} {m.thread_ts or ''} {m.user}: {m.plain!r} {m.buttons}" for m in self._world.said]
        for person, shown in self.site.ephemerals.items():
            told += [f"  only {person}: {each['text']!r}" for each in shown]
        return "\n".join(["There is:", *(told or ["  nothing"]), *(f"  refused: {c}" for c in self.complaints)])
