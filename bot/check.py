"""`python -m bot check`: tries every setting against what it points at, and says what is wrong in a line each."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import click
import httpx
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.errors import ApiError
from bot.settings import Settings, WrongSettings
from bot.steps.common import World

Finding = str
"""What was found in good order; what is not is raised as `Wrong`."""


class Wrong(Exception):
    """One sentence that names the setting and what to do."""


Try = Callable[[], Awaitable[Finding]]


async def report(
    settings: Settings,
    world: World,
    *,
    who: Callable[[], Awaitable[dict[str, Any]]],
    socket: Callable[[str], Awaitable[str | None]],
) -> bool:
    """Print a line for each thing tried; return whether all are well."""
    tries: list[tuple[str, Try]] = [
        ("Slack", lambda: _slack(who)),
        *([("Slack socket", lambda: _socket(settings, socket))] if settings.slack_app_token else []),
        ("AISIX Cloud", lambda: _control_plane(world)),
        *_gateways(settings, world),
        ("Redis", lambda: _redis(settings)),
    ]
    results = [await _tried(name, attempt) for name, attempt in tries]
    return all(results)


async def _tried(name: str, attempt: Try) -> bool:
    try:
        async with asyncio.timeout(20):
            click.echo(f"ok     {name}: {await attempt()}")
    except TimeoutError:
        click.echo(f"WRONG  {name}: no answer within 20 s.")
    except (Wrong, WrongSettings, ApiError) as wrong:
        click.echo(f"WRONG  {name}: {wrong}")
    else:
        return True
    return False


async def _slack(who: Callable[[], Awaitable[dict[str, Any]]]) -> Finding:
    team = await who()
    return f"bot {team.get('user')} in workspace {team.get('team')}."


async def _socket(settings: Settings, ask: Callable[[str], Awaitable[str | None]]) -> Finding:
    assert settings.slack_app_token is not None
    reason = await ask(settings.slack_app_token.get_secret_value())
    if reason:
        raise Wrong(f"SLACK_APP_TOKEN is refused ({reason}): make an app-level token with connections:write.")
    return "a socket can be opened."


async def _control_plane(world: World) -> Finding:
    inventory = await world.control_plane.inventory()
    return (
        f"{len(inventory.environments)} environments, {len(inventory.keys)} provider keys, "
        f"{len(inventory.models)} models. The read scope works; the write scope cannot be tried harmlessly."
    )


def _gateways(settings: Settings, world: World) -> Iterator[tuple[str, Try]]:
    for environment, gateway in settings.aisix_gateways.items():
        yield f"gateway of {environment}", lambda e=environment: _gateway(e, world)  # type: ignore[misc]
        for url in gateway.status_urls:
            yield f"status of {environment}", lambda u=url: _status(u)  # type: ignore[misc]


async def _gateway(environment: str, world: World) -> Finding:
    try:
        status = await world.gateways.caller_key_works(environment)
    except httpx.HTTPError as error:
        raise Wrong(f"no answer from the url in AISIX_GATEWAYS ({type(error).__name__}).") from None
    if status in (401, 403):
        raise Wrong(f"the caller_key in AISIX_GATEWAYS is refused ({status}): make a caller key for the probes.")
    if status != httpx.codes.OK:
        raise Wrong(f"GET /v1/models answers {status}: is the url in AISIX_GATEWAYS that of a gateway?")
    known = {e.id for e in (await world.control_plane.inventory()).environments}
    if environment not in known:
        raise Wrong("AISIX Cloud has no environment of that id: AISIX_GATEWAYS is keyed by environment id.")
    return "the caller key works."


async def _status(url: str) -> Finding:
    try:
        async with httpx.AsyncClient(timeout=10) as http:
            response = await http.get(url.rstrip("/") + "/status/config")
    except httpx.HTTPError as error:
        raise Wrong(f"no answer from the status url ({type(error).__name__}).") from None
    if response.status_code != httpx.codes.OK:
        raise Wrong(f"GET /status/config answers {response.status_code}.")
    return "the status address answers."


async def _redis(settings: Settings) -> Finding:
    if settings.redis_url is None:
        return f"REDIS_URL is absent, so an embedded server keeps its data in {settings.keyturn_data}."
    redis: Any = Redis.from_url(settings.redis_url, socket_timeout=settings.redis_timeout.total_seconds())
    try:
        await redis.ping()
        policy = (await redis.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    except (RedisError, OSError, ValueError) as error:
        raise Wrong(f"REDIS_URL does not answer ({type(error).__name__}).") from None
    finally:
        await redis.aclose()
    if policy not in ("noeviction", b"noeviction"):
        raise Wrong("maxmemory-policy is not noeviction: Redis could drop a rotation under way.")
    return "it answers."
