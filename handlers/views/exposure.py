"""A leak in words: until when the old key must be revoked, whether that is safe for callers now, and the review."""

from collections.abc import Callable, Iterator, Mapping

from bot.rotation.actions import Action
from bot.rotation.exposure import Standing, Use, is_back_in_use, needing, review_is_due, standing, unproved, uses
from bot.rotation.old_key import usage_of
from bot.rotation.parts import Exposure, Review, There
from bot.rotation.plan import plural
from bot.rotation.record import Rotation
from handlers.views import revoking, there
from handlers.views.blocks import code, countdown, duration, when
from handlers.views.links import place_of

UNKNOWN = "unknown"


def lines(rotation: Rotation) -> list[str]:
    """Say what the leak means now, the most important first; nothing without one, or once nothing is to be done."""
    exposed, task = rotation.exposed, rotation.revocation
    if exposed is None:
        return []
    if task and not task.is_open and rotation.deleted_at:  # the next move says so
        return []
    if task and not task.is_open:
        told = f"{'✔' if not needing(rotation) else '▲'} {revoking.ended(rotation, task)}"
        return [told, *([_failing(rotation)] if needing(rotation) and not task.reason else [])]
    if task and task.there:
        return [there.said(rotation), *attacks(rotation), *_seen_there(rotation, task.there)]
    return [_exposed(rotation, exposed), *attacks(rotation), CALLERS[standing(rotation)](rotation)]


def _exposed(rotation: Rotation, exposed: Exposure) -> str:
    """Say that the key works for others, and by when to revoke it."""
    place = place_of(rotation.plan.old_key)
    within = duration(exposed.revoke_by - exposed.at)
    key = f"exposed key is {_back(rotation)}" if is_back_in_use(rotation) else "old key is exposed"
    return (
        f"▲ *The {key}*: it works for anyone who has it until it's revoked at {place}. "
        f"Revoke it by {countdown(exposed.revoke_by)}, {within} after the report."
    )


def _failing(rotation: Rotation) -> str:
    """Say that the exposed key was revoked too early."""
    many = needing(rotation)
    return f"▲ {plural(many, 'model')} still {'uses' if many == 1 else 'use'} it: *callers are failing now*."


def attacks(rotation: Rotation) -> list[str]:
    """Say where somebody still uses the exposed key, one line an environment."""
    return [
        f"▲ Somebody still uses the exposed key through the gateway: {_use(use, rotation)}." for use in uses(rotation)
    ]


def _seen_there(rotation: Rotation, done: There) -> Iterator[str]:
    last = done.look.usage.last_at if done.look else None
    if last and done.look and last >= done.look.since:
        yield f"▲ Somebody used the exposed key at {place_of(rotation.plan.old_key)} itself, last {when(last)}."


def _use(use: Use, rotation: Rotation) -> str:
    where = code(rotation.plan.environment_name(use.environment), 40)
    return f"{plural(use.requests, 'request')} in {where} since {when(use.since)}"


def _needed(rotation: Rotation) -> str:
    many = needing(rotation)
    uses = f"{plural(many, 'model')} still {'uses' if many == 1 else 'use'} it"
    back = f" Next: <@{rotation.requested_by}> rotates it again with `/rotate-key`." if is_back_in_use(rotation) else ""
    return f"▲ Not yet: {uses}, and revoking it now fails {'its' if many == 1 else 'their'} callers.{back}"


def _unproved(rotation: Rotation) -> str:
    if not rotation.plan.models:
        return "No model uses it, as far as AISIX shows."
    of = plural(len(rotation.plan.models), "model")
    return (
        f"▲ Every model has left it, but nothing proves {unproved(rotation):,} of {of}: revoking it may fail callers."
    )


def _safe(rotation: Rotation) -> str:
    same = "" if rotation.same_secret_checked else " Make sure that the new secret is not the old one."
    yours = " If the requests above are yours, find them first." if uses(rotation) else ""
    proved = f"{plural(len(rotation.plan.models), 'model')} proved on the new key"
    return f"✔ Safe for callers to revoke now: {proved}.{same}{yours}"


CALLERS: Mapping[Standing, Callable[[Rotation], str]] = {
    Standing.NEEDED: _needed,
    Standing.FAILING: lambda _: "▲ Every model has left it, but not all is well: look into the other ▲ first.",
    Standing.UNPROVED: _unproved,
    Standing.SAFE: _safe,
}
"""What revoking means for callers now; a test checks that none is missing."""


def headline(rotation: Rotation, state: str) -> str:
    """Return the *state* of a card with the leak in it."""
    if is_back_in_use(rotation):
        return f"exposed key {_back(rotation)}, {state}"
    if review_is_due(rotation):
        return f"review due, {state}"
    return f"exposed, {state}" if rotation.exposed and not rotation.review else state


def _back(rotation: Rotation) -> str:
    return "in use again" if rotation.moved else "still in use"


def then(rotation: Rotation) -> str:
    """Say who owes the review; empty if nobody does."""
    if not review_is_due(rotation):
        return ""
    return f"Also: <@{rotation.requested_by}> or an approver presses *{Action.REVIEW.value}*."


def facts(rotation: Rotation) -> list[str]:
    """Return what people reported and found out, a line each."""
    exposed, review = rotation.exposed, rotation.review
    return [*([_reported(exposed), *_used(rotation)] if exposed else []), *([_reviewed(review)] if review else [])]


def _used(rotation: Rotation) -> Iterator[str]:
    """Say what use of the exposed key was seen, or that nobody can tell: it is never called unused."""
    if not rotation.moved or needing(rotation):
        return
    elsewhere = f"use at {place_of(rotation.plan.old_key)} itself can't be seen from here"
    usage, found = usage_of(rotation), uses(rotation)
    if found:
        said = ", ".join(_use(use, rotation) for use in found)
        yield f"Use of the exposed key through the gateways: {said}; {elsewhere}."
    elif not rotation.silences:
        yield f"Can't tell whether the exposed key is still used through the gateways (no `status_urls`); {elsewhere}."
    else:
        of, since = plural(usage.replicas, "replica"), f" since {when(usage.since)}" if usage.since else ""
        seen = f"No use of the exposed key seen through the gateways, on {usage.listening:,} of {of}{since}"
        yield f"{seen}; {elsewhere}."


def _reported(exposed: Exposure) -> str:
    what = f": {code(exposed.what, 300)}" if exposed.what else ""
    waived = f" Outside the change window: <@{exposed.waived_by}> started it." if exposed.waived_by else ""
    where, since = code(exposed.where or UNKNOWN, 150), code(exposed.since or UNKNOWN)
    return f"Exposed{what}. Where: {where}. Since: {since}. Reported by <@{exposed.by}>, {when(exposed.at)}.{waived}"


def _reviewed(review: Review) -> str:
    return (
        f"Review: {code(review.what, 300)}. Where: {code(review.where, 150)}. Since: {code(review.since)}. "
        f"Reachable with it: {code(review.reach, 300)}. By <@{review.by}>, {when(review.at)}."
    )
