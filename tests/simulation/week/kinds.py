"""The kinds of rotations of the week: what people decide, what befalls them, and how they end."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import NamedTuple

from bot.rotation.attention import is_watched
from bot.rotation.record import Rotation
from bot.rotation.states import State
from tests.simulation.week.office import ENVIRONMENTS, Office

GOOD, WRONG = True, False

Deed = Callable[[Office, Rotation, str], Awaitable[None]]
"""What happens around a rotation, whose last secret is given."""

SEVERAL = "mistral"
"""The provider of the keys that are rotated in one batch."""


class Befalls(NamedTuple):
    """Something that happens some *seconds* after a rotation has first come so far."""

    when: Callable[[Rotation], object]
    seconds: float
    deed: Deed


class Kind(NamedTuple):
    """One kind of rotation."""

    name: str
    times: int
    ends: State
    requester: tuple[str, ...] = ("I'm on it", "Enter new secret", "Another secret", "Try again", "I've revoked it")
    approver: tuple[str, ...] = ("I'm on it", "Start", "Delete old key")
    """The buttons that each would press, the likeliest first."""

    secrets: tuple[bool, ...] = (GOOD,)
    """Whether each of the secrets that are given is a good one; the last one is given again."""

    befalls: tuple[Befalls, ...] = ()
    key: str = "Key"
    """How the names of its keys begin; policies ask for a start approval of some, and for a long soak of others."""

    by: str = ""
    """Who asks for it; anybody, if empty."""

    in_a_batch: bool = False
    """Whether all of this kind are asked for at once."""


async def refuse(office: Office, _: Rotation, secret: str) -> None:
    """Have the provider refuse the secret."""
    office.aisix.upstream.set(secret, 401)


async def accept(office: Office, _: Rotation, secret: str) -> None:
    """Have the provider take the secret."""
    office.aisix.upstream.accept(secret)


async def hold(office: Office, rotation: Rotation, _: str) -> None:
    """Have an approver keep the old key from being deleted."""
    approver = office.slack.person(HOLDER)
    await approver.command(f"hold {rotation.plan.old_key.id}")
    await asyncio.sleep(5)
    day = f"{office.now() + timedelta(days=3):%Y-%m-%d}"
    await approver.submit({"reason": "the auditors read its counters", "until": day})


async def lift(office: Office, rotation: Rotation, _: str) -> None:
    """Have the approver lift the hold."""
    await office.slack.person(HOLDER).command(f"unhold {rotation.plan.old_key.id}")


async def take_over(office: Office, rotation: Rotation, _: str) -> None:
    """Have somebody else put another model on the old key."""
    key = office.aisix.provider_keys[rotation.plan.old_key.id]
    office.aisix.add_model(ENVIRONMENTS[0], f"late-{rotation.id}", key=key, upstream="gpt-4o")


def _has_moved(rotation: Rotation) -> bool:
    return bool(rotation.moved) and rotation.state is State.RUNNING


def _waits_for_approval(rotation: Rotation) -> bool:
    return rotation.state is State.AWAITING_APPROVAL


HOLDER = "U_APPROVING"
GIVES = ("Enter new secret", "Another secret")
BACK = ("I'm on it", "Enter new secret", "Roll back", "I've revoked it")
NEVER_REVOKES = ("I'm on it", *GIVES, "Try again")
DONE, BACK_AGAIN, OVER = State.COMPLETED, State.ROLLED_BACK, State.CANCELLED
CUT_OVER = (Befalls(_has_moved, 0, refuse),)

KINDS: tuple[Kind, ...] = (
    Kind("good", 2, DONE),
    Kind("one of several", 3, DONE, by="U_PROMPT", in_a_batch=True),
    Kind("on hold for some hours", 1, DONE, befalls=(
        Befalls(_waits_for_approval, 5, hold), Befalls(_waits_for_approval, 3 * 3600, lift)), by="U_WAKING"),
    Kind("leaked", 2, DONE, ("This secret is exposed", *GIVES, "I've revoked it", "Give the review")),
    Kind("good, and the old one is not revoked in time", 2, DONE, NEVER_REVOKES),
    Kind("good, and the old one need not be revoked", 2, DONE, NEVER_REVOKES, ("Delete old key", "Not needed")),
    Kind("started by an approver", 2, DONE, key="Guarded"),
    Kind("a wrong secret, then a good one", 3, DONE, secrets=(WRONG, GOOD)),
    Kind("callers fail in the cut-over", 3, BACK_AGAIN, BACK, ("I'm on it", "Roll back"), befalls=CUT_OVER),
    Kind("callers fail, and only the second line answers", 1, State.BLOCKED, GIVES[:1], (), befalls=CUT_OVER),
    Kind("callers fail in the watch", 3, DONE, ("I'm on it", *GIVES[:1], "I've revoked it"), befalls=(
        Befalls(is_watched, 100, refuse), Befalls(is_watched, 700, accept))),
    Kind("changed by someone else meanwhile", 2, DONE, befalls=(Befalls(_waits_for_approval, 60, take_over),)),
    Kind("a stop that nobody looks at", 1, State.BLOCKED, GIVES[:1], befalls=(
        Befalls(_waits_for_approval, 60, take_over),)),
    Kind("a stop whose requester leaves", 1, State.BLOCKED, GIVES[:1], ("Delete old key",), befalls=(
        Befalls(_waits_for_approval, 60, take_over),), by="U_VANISHING"),
    Kind("cancelled by the requester", 1, OVER, ("Cancel",)),
    Kind("cancelled by an approver", 1, OVER, (), ("Cancel",)),
    Kind("no secret in time", 2, OVER, ()),
    Kind("never approved", 2, State.AWAITING_APPROVAL, approver=()),
    Kind("asked for after a soak of hours", 2, DONE, key="Slow"),
    Kind("rolled back by an approver", 2, BACK_AGAIN, approver=("Roll back",)),
    Kind("rolled back by the requester", 2, BACK_AGAIN, BACK, ()),
)  # fmt: skip
"""Forty rotations together."""
