"""Methods about messages: post, update, post ephemerally."""

from typing import Any

from sandbox.slack import limits
from sandbox.slack.methods.channels import addressed, known, speakable, thread
from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import BOT_USER, Channel, Message

Json = dict[str, Any]


def post_message(site: Site, args: Args) -> Json:
    channel = speakable(addressed(site, args.need("channel")))
    text, blocks = _content(site, args)
    thread_ts = thread(site, channel, args)
    metadata = args.structure("metadata", "invalid_metadata_format")
    message = site.speak(channel, BOT_USER, text, blocks, thread_ts=thread_ts, metadata=metadata)
    return {"channel": channel.id, "ts": message.ts, "message": message.payload()}


def update(site: Site, args: Args) -> Json:
    channel = speakable(known(site, args.need("channel")), archived="is_inactive")
    message = _message(site, channel, args.need("ts"))
    if message.user != BOT_USER:
        raise Refusal("cant_update_message")
    text, blocks = _content(site, args)
    if len(text.encode()) > limits.UPDATE_BYTES:
        raise Refusal("msg_too_long")
    site.rewrite(message, text or message.text, blocks)
    return {"channel": channel.id, "ts": message.ts, "text": message.text, "message": message.payload()}


def delete(site: Site, args: Args) -> Json:
    """Delete a message of the app itself; a workspace that exports its messages may keep them all."""
    channel = known(site, args.need("channel"))
    message = _message(site, channel, args.need("ts"))
    if message.user != BOT_USER:
        raise Refusal("cant_delete_message")
    if site.switches.keeps_messages:
        raise Refusal("compliance_exports_prevent_deletion")
    site.remove(message)
    return {"channel": channel.id, "ts": message.ts}


def post_ephemeral(site: Site, args: Args) -> Json:
    channel = speakable(known(site, args.need("channel")))
    person = args.need("user")
    if person not in channel.members:
        raise Refusal("user_not_in_channel")
    text, blocks = _content(site, args)
    thread_ts = thread(site, channel, args)
    shown = site.whisper(person, text, blocks, channel=channel.id, thread_ts=thread_ts)
    return {"message_ts": shown["ts"]}


def _message(site: Site, channel: Channel, ts: str) -> Message:
    message = site.world.find(channel.id, ts)
    if message is None:
        raise Refusal("message_not_found")
    return message


def _content(site: Site, args: Args) -> tuple[str, list[Json]]:
    blocks = args.structure("blocks", "invalid_blocks_format")
    return site.checked({"text": args.get("text"), "blocks": blocks})


WRITING = ("chat:write",)
CHAT = {
    "chat.postMessage": Method(post_message, WRITING),
    "chat.update": Method(update, WRITING),
    "chat.delete": Method(delete, WRITING),
    "chat.postEphemeral": Method(post_ephemeral, WRITING),
}
