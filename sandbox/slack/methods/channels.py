"""Which channel and thread a call means, and whether the app may post there."""

from sandbox.slack.methods.table import Args
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import BOT_USER, Channel


def addressed(site: Site, address: str) -> Channel:
    """Return a channel by id or #name, or the direct messages with a person."""
    if address in site.world.users and address != BOT_USER:
        return site.world.direct_channel(address)
    for channel in site.world.channels.values():
        if address.startswith("#") and channel.name == address[1:]:
            return channel
    return known(site, address)


def known(site: Site, channel_id: str) -> Channel:
    """Return a channel by id."""
    channel = site.world.channels.get(channel_id)
    if channel is None:
        raise Refusal("channel_not_found")
    return channel


def speakable(channel: Channel, archived: str = "is_archived") -> Channel:
    """Return the channel if the app may post there."""
    if channel.private and not channel.bot_in:
        raise Refusal("channel_not_found")
    if channel.archived:
        raise Refusal(archived)
    if not channel.bot_in:
        raise Refusal("not_in_channel")
    return channel


def thread(site: Site, channel: Channel, args: Args) -> str | None:
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
