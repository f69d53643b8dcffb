"""`python -m bot check`: try every setting against its service, and print a line for each result."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NamedTuple

import click
import httpx
from pydantic import SecretStr
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from bot.app import rules_of
from bot.rotation.errors import ApiError, Refused, Unanswerable
from bot.rotation.people import Directory, People
from bot.rotation.plan import plural
from bot.rotation.policy import check_member
from bot.rotation.replica import host_of
from bot.rotation.trust import UNTRUSTED, is_untrusted
from bot.settings import Settings, WrongSettings
from bot.steps.world import World
from bot.storage.connection import connected
from bot.storage.migration import Carrier, Census, census
from bot.storage.namespace import BEFORE, Namespace

Finding = str
"""A sentence about something that works; a problem is raised as `Wrong`."""

TOKEN_REFUSED = (401, 403)


class Wrong(Exception):
    """One sentence that names the setting and what to do."""


WITHIN = 20.0
"""Seconds for each try."""


class Try(NamedTuple):
    """One thing to try; *setting* is the one to blame if there is no answer."""

    name: str
    setting: str
    ask: Callable[[], Awaitable[Finding]]


class Whose(NamedTuple):
    """This bot's namespace, and the carrier that would bring records there from other namespaces in its Redis."""

    namespace: Namespace
    carrier: Callable[[Redis], Carrier]


async def report(
    settings: Settings,
    world: World,
    *,
    who: Callable[[], Awaitable[tuple[dict[str, Any], Directory]]],
    socket: Callable[[str], Awaitable[None]],
    whose: Callable[[], Awaitable[Whose]],
) -> bool:
    """Print a line for each try; return whether all succeeded."""
    app_token = settings.slack_app_token
    tries = [
        Try("Slack", "SLACK_API_URL", lambda: _slack(who, settings)),
        *([Try("Slack socket", "SLACK_API_URL", lambda: _socket(app_token, socket))] if app_token else []),
        Try("AISIX Cloud", "AISIX_CLOUD_API", lambda: _control_plane(world)),
        *_gateways(settings, world),
        Try("Redis", "REDIS_URL", lambda: _redis(settings, whose)),
    ]
    async with asyncio.TaskGroup() as group:
        results = [group.create_task(_tried(each)) for each in tries]
        for result in results:
            click.echo((await result)[1])
    return all(well for well, _ in (result.result() for result in results))


async def _tried(what: Try) -> tuple[bool, str]:
    try:
        async with asyncio.timeout(WITHIN):
            return True, f"ok     {what.name}: {await what.ask()}"
    except TimeoutError:
        return False, f"WRONG  {what.name}: {what.setting} gives no answer within {WITHIN:.0f} s."
    except (Wrong, WrongSettings) as wrong:
        return False, f"WRONG  {what.name}: {wrong}"


async def _slack(who: Callable[[], Awaitable[tuple[dict[str, Any], Directory]]], settings: Settings) -> Finding:
    team, directory = await who()
    people = {person for id_ in sorted(settings.approvers) for person in await _meant_by(id_, directory)}
    if not people:
        raise Wrong("nobody is in the user groups of APPROVERS, so nobody could approve.")
    await _refuse_shortage(People(directory, rules_of(settings)))
    return f"bot {team.get('user')} in workspace {team.get('team')}; {plural(len(people), 'approver')}."


async def _refuse_shortage(people: People) -> None:
    try:
        short = await people.shortage()
    except Unanswerable:
        raise Wrong("it does not tell who the people in APPROVERS are: try again in a minute.") from None
    if short:
        raise Wrong(short)


async def _meant_by(id_: str, directory: Directory) -> frozenset[str]:
    """Return the people that an id in APPROVERS means."""
    try:
        if id_.startswith("S"):
            return await directory.members(id_)
        check_member(await directory.person(id_))
    except Unanswerable:
        raise Wrong(
            f"it does not tell who {id_} in APPROVERS is: that should be the id of a person (U…) or a user group (S…)."
        ) from None
    except Refused as refusal:
        raise Wrong(f"{id_} in APPROVERS could not approve. {refusal}") from None
    return frozenset({id_})


async def _socket(app_token: SecretStr, ask: Callable[[str], Awaitable[None]]) -> Finding:
    await ask(app_token.get_secret_value())
    return "a socket can be opened."


async def _control_plane(world: World) -> Finding:
    try:
        inventory = await world.control_plane.inventory()
    except ApiError as error:
        setting = "AISIX_ADMIN_TOKEN" if error.status in TOKEN_REFUSED else "AISIX_CLOUD_API"
        raise Wrong(f"{setting} does not work. {error}") from None
    return (
        f"{len(inventory.environments)} environments, {len(inventory.keys)} provider keys, "
        f"{len(inventory.models)} models. The read scope works; the write scope cannot be tried harmlessly."
    )


def _gateways(settings: Settings, world: World) -> Iterator[Try]:
    for environment, gateway in settings.aisix_gateways.items():
        yield Try(f"gateway of {environment}", "AISIX_GATEWAYS", partial(_gateway, environment, world))
        for url in gateway.status_urls:
            yield Try(f"status of {environment}", "AISIX_GATEWAYS", partial(_status, url, world))
        if gateway.status_urls:
            yield Try(f"replicas of {environment}", "AISIX_GATEWAYS", partial(_replicas, environment, world))


async def _gateway(environment: str, world: World) -> Finding:
    try:
        status = await world.gateways.caller_key_works(environment)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Wrong(f"no answer from the url in AISIX_GATEWAYS ({_why(error)}).") from None
    if status in TOKEN_REFUSED:
        raise Wrong(f"the caller_key in AISIX_GATEWAYS is refused ({status}): make a caller key for the probes.")
    if status != httpx.codes.OK:
        raise Wrong(f"GET /v1/models answers {status}: is the url in AISIX_GATEWAYS that of a gateway?")
    if not await _is_known(environment, world):
        raise Wrong("AISIX Cloud has no environment of that id: AISIX_GATEWAYS is keyed by environment id.")
    guess = "" if world.status.says_how_many(environment) else REPLICAS_UNSAID
    known = "the caller key works. For the rehearsal it has to be allowed `keyturn-*` too, which cannot be tried here."
    return known + guess


REPLICAS_UNSAID = " `replicas` is not set: one for each status address is assumed."


async def _is_known(environment: str, world: World) -> bool:
    """Tell whether the environment exists; if AISIX Cloud is not answering, assume so: another line reports that."""
    try:
        return environment in {known.id for known in (await world.control_plane.inventory()).environments}
    except ApiError:
        return True


async def _status(url: str, world: World) -> Finding:
    try:
        config, metrics = await world.status.answers(url)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise Wrong(f"no answer from a status_url in AISIX_GATEWAYS ({_why(error)}).") from None
    if config != httpx.codes.OK:
        raise Wrong(f"GET /status/config answers {config}: is that a status_url in AISIX_GATEWAYS?")
    if metrics != httpx.codes.OK:
        return f"it answers, but GET /metrics answers {metrics}: without counters nothing can be proved."
    return "the status address answers, with counters."


async def _replicas(environment: str, world: World) -> Finding:
    """Read every status address many times in a row: each must always show the same replica, and no two the same."""
    wrong = await world.status.contradictions(environment)
    if wrong:
        raise Wrong(f"in environment {environment} {'; '.join(f'{host_of(url)} {why}' for url, why in wrong.items())}.")
    return "no two looks at the status addresses contradict each other."


def _why(error: Exception) -> str:
    return UNTRUSTED if is_untrusted(error) else type(error).__name__


async def _redis(settings: Settings, whose: Callable[[], Awaitable[Whose]]) -> Finding:
    try:
        ours = await whose()
    except WrongSettings:  # Slack does not say: another line reports that
        ours = None
    if settings.redis_url is None:
        kept = f"REDIS_URL is absent, so an embedded server keeps its data in {settings.keyturn_data}."
        return kept + (_records_place(ours) if ours else "")
    async with connected(settings.redis_url, settings.redis_timeout.total_seconds()) as redis:
        said = await _server(redis)
        return said + (await _namespaces(redis, ours) if ours else "")


def _records_place(ours: Whose) -> str:
    return f" The records of this workspace and AISIX Cloud are under `{ours.namespace.queue}`."


async def _namespaces(redis: Redis, ours: Whose) -> str:
    """Say where our records are, and which other namespaces this Redis has."""
    carrier = ours.carrier(redis)
    try:
        others = [one for one in await census(redis) if one.rotations and one.namespace.name != ours.namespace.name]
        said = [await _before(carrier, one) if one.namespace == BEFORE else _other(one, ours) for one in others]
    except Unanswerable:
        raise Wrong("REDIS_URL stopped answering in the middle.") from None
    return _records_place(ours) + "".join(said)


def _other(one: Census, ours: Whose) -> str:
    place = f" of {one.namespace.control_plane}" if one.namespace.control_plane else ""
    said = f" `{one.namespace.queue}` has {plural(one.rotations, 'rotation')}{place}, {one.open} not over."
    if one.open and one.namespace.team == ours.namespace.team:
        said += f" If that is an earlier address of this AISIX Cloud: `python -m bot carry-over {one.namespace.queue}`."
    return said


async def _before(carrier: Carrier, one: Census) -> str:
    """Say which records of the previous version will be carried over, and which not."""
    try:
        ours, left = await carrier.look(one.namespace, await carrier.ids_in(one.namespace))
    except ApiError:  # another line reports that
        return f" {plural(one.rotations, 'rotation')} of the version before, {one.open} not over."
    coming = (
        f" {plural(len(ours), 'rotation')} of the version before will be carried over at the start." if ours else ""
    )
    reasons = {why: [it.rotation for it in left if it.why == why] for _, why in left}
    stay = (f" {plural(len(ids), 'rotation')} of the version before ({_few(ids)}) cannot be: {why}."
            for why, ids in reasons.items())  # fmt: skip
    return coming + "".join(stay)


FEW = 3
"""The most ids that one line names."""


def _few(ids: Sequence[str]) -> str:
    return ", ".join(ids[:FEW]) + (", …" if len(ids) > FEW else "")


async def _server(redis: Redis) -> Finding:
    try:
        said = await _said_by(redis)
    except (RedisError, OSError) as error:
        raise Wrong(f"REDIS_URL does not answer ({_why(error)}).") from None
    unsafe = [RISKS[name].format(said[name]) for name, safe in SAFE.items() if name in said and said[name] != safe]
    if unsafe:
        raise Wrong(f"the server at REDIS_URL {', and it '.join(unsafe)}.")
    hidden = [name for name in SAFE if name not in said]
    if not hidden:
        return "it answers."
    sure = " and that ".join(f"{name} is {SAFE[name]}" for name in hidden)
    return f"it answers, but does not show its {' and its '.join(hidden)}: make sure that {sure}."


SAFE = {"maxmemory-policy": "noeviction", "appendonly": "yes"}
"""Server settings without which Redis can lose data."""

RISKS = {
    "maxmemory-policy": "has the maxmemory-policy {}, so it could drop a rotation under way: make it noeviction",
    "appendonly": "keeps no append-only file, so a restart loses what was recorded last: set appendonly to yes",
}
"""What happens otherwise, and how to fix it."""


async def _said_by(redis: Any) -> dict[str, str]:
    """Return the settings in `SAFE` that the server reveals; a managed one may reveal none."""
    said: dict[str, str] = {}
    await redis.ping()
    with suppress(ResponseError):
        if "aof_enabled" in (kept := await redis.info("persistence")):
            said["appendonly"] = "yes" if kept["aof_enabled"] else "no"
    with suppress(ResponseError):
        for name in SAFE:
            said |= await redis.config_get(name)
    return said
