"""Methods about messages: post, update, post ephemerally."""

from typing import Any

from sandbox.slack import limits
from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import BOT_USER, Channel, Message

Json = dict[str, Any]


def post_message(site: Site, args: Args) -> Json:
    channel = _speakable(_addressed(site, args.need("channel")))
    text, blocks = _content(site, args)
    thread_ts = _thread(site, channel, args)
    metadata = args.structure("metadata", "invalid_metadata_format")
    message = site.speak(channel, BOT_USER, text, blocks, thread_ts=thread_ts, metadata=metadata)
    return {"channel": channel.id, "ts": message.ts, "message": message.payload()}


def update(site: Site, args: Args) -> Json:
    channel = _speakable(_known(site, args.need("channel")), archived="is_inactive")
    message = _message(site, channel, args.need("ts"))
    if message.user != BOT_USER:
        raise Refusal("cant_update_message")
    text, blocks = _content(site, args)
    if len(text.encode()) > limits.UPDATE_BYTES:
        raise Refusal("msg_too_long")
    site.rewrite(message, text or message.text, blocks)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.payload()}


def post_ephemeral(site: Site, args: Args) -> Json:
    channel = _speakable(_known(site, args.need("channel")))
    person = args.need("user")
    if person not in channel.members:
        raise Refusal("user_not_in_channel")
    text, blocks = _content(site, args)
    thread_ts = _thread(site, channel, args)
    shown = site.whisper(person, text, blocks, channel=channel.id, thread_ts=thread_ts)
    return {"message_ts": shown["ts"]}


def _addressed(site: Site, address: str) -> Channel:
    """Return a channel by id or #name, or the direct messages with a person."""
    if address in site.world.users and address != BOT_USER:
        return site.world.direct_channel(address)
    for channel in site.world.channels.values():
        if address.startswith("#") and channel.name == address[1:]:
            return channel
    return _known(site, address)


def _known(site: Site, channel_id: str) -> Channel:
    channel = site.world.channels.get(channel_id)
    if channel is None:
        raise Refusal("channel_not_found")
    return channel


def _speakable(channel: Channel, archived: str = "is_archived") -> Channel:
    if channel.private and not channel.bot_in:
        raise Refusal("channel_not_found")
    if channel.archived:
        raise Refusal(archived)
    if not channel.bot_in:
        raise Refusal("not_in_channel")
    return channel


def _message(site: Site, channel: Channel, ts: str) -> Message:
    message = site.world.find(channel.id, ts)
    if message is None:
        raise Refusal("message_not_found")
    return message


def _thread(site: Site, channel: Channel, args: Args) -> str | None:
    """Return the thread to reply in; only a top-level message has one."""
    thread_ts = args.get("thread_ts") or None
    if thread_ts is None:
        return None
    parent = site.world.find(channel.id, thread_ts)
    if parent is None and site.switches.tombstones and site.world.has_replies(channel.id, thread_ts):
        return thread_ts
    if parent is None:
        raise Refusal("thread_not_found")
    if parent.thread_ts:
        raise Refusal("cannot_reply_to_message")
    return thread_ts


def _content(site: Site, args: Args) -> tuple[str, list[Json]]:
    blocks = args.structure("blocks", "invalid_blocks_format")
    return site.checked({"text": args.get("text"), "blocks": blocks})


WRITING = ("chat:write",)
CHAT = {
    "chat.postMessage": Method(post_message, WRITING),
    "chat.update": Method(update, WRITING),
    "chat.postEphemeral": Method(post_ephemeral, WRITING),
}
