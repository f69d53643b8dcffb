"""The stage of the stories with real gateways, the applications at work there, and the truth at the provider."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

from bot.rotation.evidence import Evidence, Verdict
from bot.rotation.record import Rotation
from bot.rotation.states import State
from sandbox.aisix import Model, Switches
from sandbox.aisix.rows import Fields, new_id
from sandbox.aisix.store import Change
from sandbox.caller import Caller, Callers
from sandbox.gateways import RealAisix, RealReplica
from sandbox.slack import Message, Slack
from tests.support.stage import KEY, OLD_SECRET, Stage, populate

DECISIONS = (State.AWAITING_APPROVAL, State.BLOCKED)
"""Where the bot stands still and asks somebody for something."""

ENOUGH = 60
"""Requests of applications that would show a replica on the old key: of 60, one in three comes there for sure."""

RATE = 4.0
PATIENCE = 300.0

WAITS = {"PROJECTION_TIMEOUT": "20", "VERIFY_TIMEOUT": "20", "PATIENCE": "30"}
"""Longer than on the sandbox's stage: a debug build of a gateway shares two processors with all the rest."""


SHORT = {"PROJECTION_TIMEOUT": "6", "VERIFY_TIMEOUT": "6"}
"""For stories that end in a stop: how long somebody has to wait for it."""

TRIES = 3
"""How often somebody presses **Try again** who is told to look at a replica, and sees that callers are well."""


@asynccontextmanager
async def real_stage(
    redis_url: str,
    folder: Path,
    *,
    environments: Mapping[str, int] = MappingProxyType({"production": 2, "staging": 2}),
    overrides: Mapping[str, str] = MappingProxyType({}),
    **switches: Any,
) -> AsyncIterator[Stage]:
    """Set the stage of the other stories, with a gateway's process for each replica."""
    aisix = RealAisix(os.environ["AISIX_BIN"], folder, Switches(**switches), environments)
    async with Slack() as slack, aisix:
        populate(aisix)
        await in_sync(aisix)
        yield Stage(slack, aisix, redis_url, {**WAITS, **overrides})
        assert slack.complaints == []


async def in_sync(aisix: RealAisix) -> None:
    """Wait until every gateway that can be reached has all that was written."""
    await aisix.until(aisix.projected, PATIENCE, "the gateways to have every change")


def applications(stage: Stage, rate: float = RATE) -> Callers:
    """Return an application for every alias."""
    return Callers(application(stage, model, rate) for model in stage.aisix.models.values())


def application(stage: Stage, model: Model, rate: float = RATE, key: str = "") -> Caller:
    """Return an application that asks for one alias."""
    aisix, here = stage.aisix, model.environment_id
    endpoint = "embeddings" if model.kind == "embedding" else "chat"
    return Caller(aisix.gateway_url(here), key or aisix.app_caller_key(here), model.display_name, rate, endpoint)


def model_of(stage: Stage, alias: str, environment: str = "production") -> Model:
    here = stage.aisix.environment(environment).id
    return next(m for m in stage.aisix.models.values() if (m.display_name, m.environment_id) == (alias, here))


def replica_of(stage: Stage, number: int, environment: str = "production") -> RealReplica:
    replica = stage.aisix.replicas(environment)[number]
    assert isinstance(replica, RealReplica)
    return replica


def unlisted(stage: Stage, table: str, fields: Fields, environment: str = "production") -> None:
    """Give the gateways a row that no list of the control plane shows."""
    store, here = stage.aisix.store, stage.aisix.environment(environment)
    store.revision += 1
    here.log.append(Change(store.revision, table, new_id(), fields))
    store.pulse.beat("row")


async def decided(stage: Stage) -> Rotation:
    """Wait until the bot asks somebody for something."""
    return await stage.recorded(lambda rotation: rotation.state in DECISIONS, PATIENCE)


def verdicts(rotation: Rotation) -> set[Verdict]:
    """Return every verdict that the rotation has come to."""
    return {evidence.verdict for evidence in _known(rotation).values()}


def unproved(rotation: Rotation) -> dict[str, str]:
    """Return why models are not proved, by their label."""
    return {label: known.reason for label, known in _known(rotation).items() if known.verdict is not Verdict.PROVED}


def _known(rotation: Rotation) -> dict[str, Evidence]:
    found = {model.label: rotation.finding(model).current for model in rotation.plan.models}
    return {label: evidence for label, evidence in found.items() if evidence}


def is_offered(rotation: Rotation) -> bool:
    """Whether the delete of the old key is on offer."""
    return rotation.state is State.AWAITING_APPROVAL


async def requests_on_the_old_key(stage: Stage, callers: Callers, enough: int = ENOUGH) -> int:
    """Return how many requests come to the provider with the old secret while applications send *enough*."""
    calls, sent = stage.aisix.upstream.calls, callers.sent
    seen = len(calls)
    await stage.aisix.until(lambda: callers.sent >= sent + enough, PATIENCE, f"{enough} requests of applications")
    return sum(call.secret == OLD_SECRET for call in calls[seen:])


def cut_off_at_the_first_move(stage: Stage, replica: RealReplica, how: str = "closed") -> None:
    """Have *replica* lose its etcd when the first model is moved, after the rehearsal."""
    where = f"environments/{replica.environment.id}/models/"
    stage.aisix.faults.before("PATCH", where, lambda: replica.fall_ill(how))


async def rotated(stage: Stage) -> tuple[Message, Rotation]:
    """Ask for a rotation, give the secret, and wait until the bot asks somebody for something."""
    card = await stage.ask()
    await stage.give(card)
    return card, await decided(stage)


async def tried_again(stage: Stage, card: Message, rotation: Rotation) -> Rotation:
    """Press **Try again** as long as the card has it, a few times."""
    for _ in range(TRIES):
        if is_offered(rotation):
            break
        await stage.press("Try again", card)
        await stage.recorded(lambda now: now.state is not State.BLOCKED)
        rotation = await decided(stage)
    return rotation


async def is_never_taken_for_moved(stage: Stage, replica: RealReplica) -> None:
    """Cut *replica* off at the first move, and press **Try again**: the delete is not offered while it serves."""
    cut_off_at_the_first_move(stage, replica)
    async with stage.bot(), applications(stage) as callers:
        card, rotation = await rotated(stage)
        rotation = await tried_again(stage, card, rotation)

        assert await requests_on_the_old_key(stage, callers) > 0
        assert not is_offered(rotation)
        assert stage.key_named(KEY)


async def passthrough(stage: Stage) -> Caller:
    """Return an application that uses a passthrough route on the old key."""
    stage.aisix.add_passthrough("production", "tunnel", key=stage.key_named(KEY))
    key = await stage.aisix.add_caller("production", "tunneler")
    return Tunnel(stage.aisix.gateway_url("production"), key, "gpt-4o", 5)


class Tunnel(Caller):
    """Asks through a passthrough route."""

    def asks(self, text: str) -> tuple[str, dict[str, Any]]:
        _, body = super().asks(text)
        return "/passthrough/tunnel/chat/completions", body
