"""Methods about the app itself and its socket."""

from typing import Any

from sandbox.slack.methods.table import Args, Method
from sandbox.slack.payloads import DOMAIN
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.world import APP_ID, BOT_ID, BOT_USER, HOME

Json = dict[str, Any]


def auth_test(site: Site, _args: Args) -> Json:
    return {
        "url": f"https://{DOMAIN}.slack.com/",
        "team": "Sandbox",
        "team_id": HOME,
        "user": site.world.users[BOT_USER].name,
        "user_id": BOT_USER,
        "bot_id": BOT_ID,
        "is_enterprise_install": False,
    }


def bots_info(_site: Site, args: Args) -> Json:
    if args.need("bot") != BOT_ID:
        raise Refusal("bot_not_found")
    return {"bot": {"id": BOT_ID, "app_id": APP_ID, "user_id": BOT_USER, "name": "keyturn", "deleted": False}}


def connections_open(site: Site, _args: Args) -> Json:
    return {"url": f"{site.base_url.replace('http', 'ws', 1)}/link?ticket={site.links.give('app')}"}


BASICS = {
    "auth.test": Method(auth_test),
    "bots.info": Method(bots_info, ("users:read",)),
    "apps.connections.open": Method(connections_open, token="app"),
}
