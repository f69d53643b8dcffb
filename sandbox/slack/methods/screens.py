"""Methods about views: open, update, publish."""

from typing import Any

from sandbox.slack.methods.table import Args, Method
from sandbox.slack.refusal import Refusal
from sandbox.slack.site import Site
from sandbox.slack.tickets import Spent

Json = dict[str, Any]


def open_view(site: Site, args: Args) -> Json:
    view, person = _view(args), _triggered(site, args)
    if isinstance(view, dict) and view.get("type") == "home":
        raise Refusal("invalid_arguments", ["[ERROR] a view of type home cannot be opened [json-pointer:/view/type]"])
    return _shown(site, person, site.views.open(person, view))


def update_view(site: Site, args: Args) -> Json:
    view, view_id, stacks = _view(args), args.need("view_id"), site.views.stacks.items()
    shown = next(((who, each) for who, stack in stacks for each in stack if each["id"] == view_id), None)
    if shown is None:
        raise Refusal("not_found")
    person, before = shown
    if args.get("hash") and args.get("hash") != before["hash"]:
        raise Refusal("hash_conflict")
    if isinstance(view, dict) and view.get("type") == "home":
        raise Refusal("invalid_arguments", ["[ERROR] a modal cannot become a home view [json-pointer:/view/type]"])
    return _shown(site, person, site.views.replace(person, before, view))


def publish_view(site: Site, args: Args) -> Json:
    person = args.need("user_id")
    if not site.switches.home_enabled:
        raise Refusal("not_enabled")
    if person not in site.world.users:
        raise Refusal("user_not_found")
    before = site.views.homes.get(person)
    if args.get("hash") and (before is None or args.get("hash") != before["hash"]):
        raise Refusal("hash_conflict")
    view = site.views.publish(person, _view(args))
    site.changes.announce("home", {"user": person, "view": view})
    return {"view": view}


def _view(args: Args) -> Any:
    args.need("view")
    return args.structure("view", "invalid_arguments")


def _triggered(site: Site, args: Args) -> str:
    """Return whose action this answers; the trigger is used up even if the view is refused later."""
    try:
        return site.triggers.take(args.get("trigger_id")).person
    except Spent as spent:
        raise Refusal(spent.error) from None


def _shown(site: Site, person: str, view: Json) -> Json:
    site.changes.announce("modal", {"user": person, "view": view})
    return {"view": view}


SCREENS = {
    "views.open": Method(open_view),
    "views.update": Method(update_view),
    "views.publish": Method(publish_view),
}
