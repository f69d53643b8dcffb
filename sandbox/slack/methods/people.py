"""Methods about people, user groups and channels."""

from typing import Any

from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import HOME, Channel, User

Json = dict[str, Any]


def users_info(site: Site, args: Args) -> Json:
    user = site.world.users.get(args.need("user"))
    if user is None:
        raise Refusal("user_not_found")
    granted = site.switches.scopes
    return {"user": _user(user, with_email=granted is None or "users:read.email" in granted)}


def group_members(site: Site, args: Args) -> Json:
    if not site.switches.plan_has_groups:
        raise Refusal("plan_upgrade_required")
    group = site.world.groups.get(args.need("usergroup"))
    if group is None:
        raise Refusal("no_such_subteam")
    return {"users": list(group.members)}


def conversations_info(site: Site, args: Args) -> Json:
    channel = site.world.channels.get(args.need("channel"))
    if channel is None:
        raise Refusal("channel_not_found")
    return {"channel": _channel(channel)}


def users_conversations(site: Site, _: Args) -> Json:
    joined = [one for one in site.world.channels.values() if one.bot_in and one.person is None]
    return {"channels": [_channel(one) for one in joined]}


def _user(user: User, *, with_email: bool) -> Json:
    names = {"real_name": user.name.title(), "display_name": user.name}
    address = {"email": user.email or f"{user.name}@example.com"} if with_email and not user.bot else {}
    return {
        "id": user.id,
        "team_id": user.team,
        "name": user.name,
        "real_name": names["real_name"],
        "profile": names | address,
        "deleted": user.deleted,
        "is_bot": user.bot,
        "is_app_user": False,
        "is_stranger": user.stranger,
        "is_restricted": user.guest or user.single_channel_guest,
        "is_ultra_restricted": user.single_channel_guest,
        "is_admin": False,
        "is_owner": False,
        "tz": "UTC",
    }


def _channel(channel: Channel) -> Json:
    direct = channel.person is not None
    return {
        "id": channel.id,
        "name": channel.name,
        "is_channel": not direct,
        "is_im": direct,
        "is_private": direct,
        "is_member": channel.bot_in,
        "is_archived": channel.archived,
        "is_shared": channel.shared,
        "is_ext_shared": channel.shared,
        "is_org_shared": False,
        "num_members": len(channel.members),
        "context_team_id": HOME,
    } | ({"user": channel.person} if direct else {})


PEOPLE = {
    "users.info": Method(users_info, ("users:read",)),
    "usergroups.users.list": Method(group_members, ("usergroups:read",)),
    "users.conversations": Method(users_conversations, ("channels:read", "groups:read")),
    "conversations.info": Method(conversations_info, ("channels:read", "groups:read", "im:read")),
}
