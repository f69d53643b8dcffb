"""Check the policies of the settings: whether they name what is there, and whether what they ask for is possible."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import partial
from typing import Protocol

from bot.check.findings import Try, Wrong, warn, wrong
from bot.check.people import Slack, meant_by, shortage
from bot.limits import rules_of
from bot.rotation.errors import ApiError
from bot.rotation.inventory import Inventory
from bot.rotation.people import Once, People
from bot.rotation.phrases import listing
from bot.rotation.plan import make_plan
from bot.rotation.policies import NamedPolicy, Policy, asked_of, is_named
from bot.rotation.windows import longest_open
from bot.settings import Settings
from bot.terminal import Finding

SHORTEST = timedelta(minutes=10)
"""The shortest window in which the last look and the delete certainly fit."""

OPEN_TO_ALL = (
    "any full member of the workspace can move all traffic to a credential of their own: anyone may ask for a "
    "rotation and give its secret, and nobody else is asked before models move. Set REQUESTERS, or `start: true` in "
    "POLICY."
)


class Lists(Protocol):
    """What AISIX lists. Raises `ApiError`."""

    async def inventory(self) -> Inventory:
        """Return all of it."""


def policies(settings: Settings, slack: Slack, lists: Lists) -> Iterator[Try]:
    """Return what can be tried."""
    yield Try("REQUESTERS", "AISIX_CLOUD_API", partial(_open_to_all, settings, lists))
    if settings.policies:
        yield Try("POLICY", "SLACK_API_URL", partial(_people, settings, slack))
        yield Try("POLICY", "AISIX_CLOUD_API", partial(_places, settings, lists))


async def _open_to_all(settings: Settings, lists: Lists) -> list[Finding]:
    """Say what anyone may move: a start approval of some keys or environments leaves the others open."""
    if settings.requesters is not None:
        return []
    if not any(policy.asks.start for policy in settings.policies):
        return [warn(OPEN_TO_ALL)]
    try:
        inventory = await lists.inventory()
    except ApiError:
        return []  # the control plane's own line says so
    plans = [make_plan(inventory, key, ()) for key in inventory.keys]
    unasked = [plan for plan in plans if plan.needed_in and not asked_of(plan, settings.policies).start]
    names = listing(plan.old_key.display_name for plan in unasked)
    return [warn(f"no policy asks for a start of {names}: there {OPEN_TO_ALL}")] if unasked else []


async def _people(settings: Settings, slack: Slack) -> list[Finding]:
    """Try each policy alone: who approves must be a person, and enough of them must be able to."""
    _, directory = await slack.who()
    directory, found = Once(directory), []
    people = People(directory, rules_of(settings))
    for policy in settings.policies:
        for group in policy.asks.approvers:
            for id_ in group:
                try:
                    await meant_by(id_, directory, f"POLICY ({policy.asks.names[0]})")
                except Wrong as mistake:
                    found.append(wrong(str(mistake)))
        if short := await shortage(people, policy.asks):
            found.append(wrong(short))
    return found


async def _places(settings: Settings, lists: Lists) -> list[Finding]:
    """Try what each policy names, and for each key the windows of all policies that touch it."""
    try:
        inventory = await lists.inventory()
    except ApiError:
        return []  # the control plane's own line says so
    unknown = [warn(said) for policy in settings.policies for said in strangers(policy, inventory)]
    together = {asked_of(make_plan(inventory, key, ()), settings.policies) for key in inventory.keys}
    alone = {policy.asks for policy in settings.policies}
    shut = [said for policy in sorted(alone | together, key=lambda one: one.names) for said in _shut(policy)]
    return [*unknown, *map(wrong, dict.fromkeys(shut))]


def strangers(policy: NamedPolicy, inventory: Inventory) -> Iterator[str]:
    """Yield a sentence for each name in a policy that means nothing in AISIX."""
    name = policy.asks.names[0]
    places = [known for one in inventory.environments for known in (one.name, one.id)]
    keys = [known for one in inventory.keys for known in (one.display_name, one.id)]
    for place in policy.environments:
        if place not in places:
            yield f"{name} names the environment {place}, and AISIX Cloud has no such one{_meant(place, places)}"
    for key in policy.keys:
        if not any(is_named(one, key) for one in inventory.keys):
            yield f"{name} names the key {key}, and AISIX Cloud has no such one{_meant(key, keys)}"


def _meant(name: str, known: Iterable[str]) -> str:
    near = get_close_matches(name, list(known), n=1)
    return f": did you mean {near[0]}?" if near else "."


def _shut(policy: Policy) -> Iterator[str]:
    """Yield a sentence for windows that are never open for as long as it takes."""
    now = datetime.now(UTC)
    for windows, what in ((policy.move, "models may move"), (policy.delete, "a key may be deleted")):
        longest = longest_open(windows, now, SHORTEST)
        if longest < SHORTEST:
            never = "at no time" if not longest else f"for less than {SHORTEST.total_seconds() / 60:.0f} minutes"
            yield f"by {policy.title}, {what} {never}: {'; '.join(map(str, windows))}."
