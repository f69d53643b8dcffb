"""Show what one person sees in the sandbox's Slack, as items by key. Pure: the workspace in, JSON out."""

from typing import Any

from sandbox.slack import Channel, File, Message, Slack, User

Json = dict[str, Any]

ROLES = {
    "U_REQUESTER": "requester (asks for rotations)",
    "U_APPROVER": "approver (of key-approvers)",
    "U_MEMBER": "member (somebody else)",
    "U_GUEST": "guest",
}
"""The people that a visitor can act as."""

TOPICS = {"C_OPS": "Keyturn is in this channel", "C_ELSEWHERE": "Keyturn is not in this channel"}
HOME_TS = "0.000001"
"""The place of Home among what was said: before everything else."""

READ_ONLY = "Sending messages to this app has been turned off."
WORKSPACE = "Sandbox"
PREVIEW = 5
"""Lines of a file that are shown."""


def screen(slack: Slack, person: str) -> dict[str, Any]:
    """Return everything that *person* sees."""
    seen = {channel.id for channel in _channels(slack, person)}
    said = [message for message in slack.site.world.said if message.channel in seen]
    whispered = [shown for shown in slack.person(person).ephemerals if shown["channel"] in seen]
    return {
        "team": team(slack, person),
        "modals": slack.site.views.stack(person),
        **home(slack, person),
        **{f"message/{message.channel}/{message.ts}": shown(message) for message in said},
        **{f"ephemeral/{each['channel']}/{each['ts']}": whisper(each) for each in whispered},
    }


def home(slack: Slack, person: str) -> dict[str, Json]:
    """Return the app's Home tab of *person*, above what the app says to them; nothing before they open it."""
    view, channel = slack.person(person).home, slack.site.world.direct_channel(person).id
    if view is None:
        return {}
    parts = {"channel": channel, "ts": HOME_TS, "user": "U_KEYTURN", "text": "Home", "blocks": view["blocks"]}
    return {f"message/{channel}/{HOME_TS}": {**parts, "files": [], "thread_ts": None, "edited": False, "home": True}}


def team(slack: Slack, person: str) -> Json:
    """Return the people, groups and channels."""
    return {
        "workspace": WORKSPACE,
        "me": person,
        "groups": [group.id for group in slack.groups.values() if person in group.members],
        "picker": [{"id": user, "label": label} for user, label in ROLES.items()],
        "people": {user.id: _person(user) for user in slack.users.values()},
        "names": slack.site.world.names(),
        "away": not slack.sockets,
        "channels": [_channel(channel) for channel in _channels(slack, person)],
    }


def shown(message: Message) -> Json:
    """Return a message as everyone sees it."""
    return {
        "channel": message.channel,
        "ts": message.ts,
        "user": message.user,
        "text": message.text,
        "blocks": message.blocks,
        "files": [file.payload() | {"preview": _preview(file)} for file in message.files],
        "thread_ts": message.thread_ts,
        "edited": bool(message.edits),
    }


def _preview(file: File) -> str:
    """Return the first lines of a file of text."""
    return "\n".join((file.content or b"").decode(errors="replace").splitlines()[:PREVIEW])


def whisper(each: Json) -> Json:
    """Return a message that only one person sees; its author is the app."""
    kept = {name: each[name] for name in ("channel", "ts", "text", "blocks", "thread_ts")}
    return {**kept, "user": "U_KEYTURN", "edited": False, "only_you": True}


def _channels(slack: Slack, person: str) -> list[Channel]:
    direct = slack.site.world.direct_channel(person)
    named = [channel for channel in slack.channels.values() if channel.person is None and person in channel.members]
    return [*named, direct]


def _channel(channel: Channel) -> Json:
    app = channel.person is not None
    return {
        "id": channel.id,
        "name": "Keyturn" if app else channel.name,
        "app": app,
        "topic": "What Keyturn says to you alone" if app else TOPICS.get(channel.id, ""),
        "closed": READ_ONLY if app else "",
        "shared": channel.shared,
    }


def _person(user: User) -> Json:
    return {"name": user.name, "bot": user.bot, "guest": user.guest}


def news(before: dict[str, Any], after: dict[str, Any]) -> Json:
    """Return the items that are new or changed in *after*, and the keys that are gone."""
    put = {key: item for key, item in after.items() if before.get(key) != item}
    return {"put": put, "gone": sorted(before.keys() - after.keys())}
