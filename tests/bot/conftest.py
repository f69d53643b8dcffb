"""A running AISIX with one key behind models in two environments, and the bot's two clients for it."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import hypothesis
import pytest
from pydantic import SecretStr, TypeAdapter
from redis.asyncio import Redis
from saq.queue.redis import RedisQueue

from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import Gateways, GatewaySettings
from bot.rotation.errors import NotAllowed, Unanswerable
from bot.rotation.plan import AffectedModel
from bot.rotation.policy import Person, Pressed
from bot.rotation.record import Rotation
from bot.service import RotationService
from bot.storage.jobs import Jobs
from bot.storage.records import Store
from sandbox.aisix import Aisix, Model, ProviderKey, Switches
from sandbox.aisix.serving import Handle, Server, application
from tests.bot.values import NAMESPACE, NOW, rules
from tests.support.in_memory import Tenancy, tenancy_of

hypothesis.settings.register_profile(
    "keyturn", deadline=None, max_examples=60, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("keyturn")  # a busy machine is no fault of a test

OLD_SECRET = "sk-old-0123456789abcdef"


class Tenant:
    """An AISIX and what speaks to it."""

    def __init__(self, aisix: Aisix, stack: AsyncExitStack) -> None:
        self.aisix = aisix
        self._stack = stack
        self.key: ProviderKey = aisix.add_key(
            "OpenAI production", secret=OLD_SECRET, api_base="https://api.openai.com/v1", strip_headers=["cookie"]
        )
        self.chat: Model = aisix.add_model("production", "chat-large", key=self.key)

    async def control_plane(self, **given: Any) -> ControlPlane:
        options = {"timeout": 2, "concurrency": 4, "attempts": 3, "grace": 30} | given
        url, token = options.pop("url", self.aisix.api_url), options.pop("token", self.aisix.admin_token)
        return await self._stack.enter_async_context(ControlPlane(url, SecretStr(token), **options))

    async def gateways(self, probes: dict[str, str] | None = None, **given: Any) -> Gateways:
        settings = TypeAdapter(dict[str, GatewaySettings]).validate_json(self.aisix.settings()["AISIX_GATEWAYS"])
        settings = {
            env: GatewaySettings(
                url=given.get("url", one.url),
                caller_key=SecretStr(given.get("caller_key", one.caller_key.get_secret_value())),
                probes=one.probes | (probes or {}),
            )
            for env, one in settings.items()
        }
        options = {name: given[name] for name in ("timeout", "concurrency") if name in given}
        made = Gateways(settings, **dict[str, Any]({"timeout": 2, "concurrency": 4} | options), now=lambda: NOW)
        return await self._stack.enter_async_context(made)

    @property
    def environment(self) -> str:
        return self.aisix.environment("production").id

    def affected(self, model: Model | None = None, **changes: Any) -> AffectedModel:
        row = model or self.chat
        shown = {
            "id": row.id,
            "environment": row.environment_id,
            "environment_name": "production",
            "alias": row.display_name,
            "kind": row.kind,
            "upstream": "gpt-4o",
        }
        return AffectedModel(**shown | changes)

    def calls(self, method: str, part: str = "") -> list[Any]:
        return [call for call in self.aisix.calls if call.method == method and part in call.path]


@pytest.fixture
async def switches() -> Switches:
    return Switches()


@pytest.fixture
async def tenant(switches: Switches) -> AsyncIterator[Tenant]:
    aisix = Aisix(switches=switches, environments={"production": 1, "staging": 1})
    async with aisix, AsyncExitStack() as stack:
        yield Tenant(aisix, stack)


@asynccontextmanager
async def answering(handle: Handle) -> AsyncIterator[str]:
    """Have *handle* answer every request to the address that is yielded."""
    server = Server()
    await server.start(application(handle))
    try:
        yield server.url
    finally:
        await server.stop()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def store(redis: Redis) -> Store:
    return Store(redis, NAMESPACE)


@pytest.fixture
async def queue(redis_url: str) -> AsyncIterator[RedisQueue]:
    async with Redis.from_url(redis_url) as client:
        yield RedisQueue(client, name=NAMESPACE.queue)


@pytest.fixture
async def tenancy() -> AsyncIterator[Tenancy]:
    async with tenancy_of() as made:
        yield made


class Slack:
    """Slack, where everybody is a full member of whom nothing else is said."""

    def __init__(self) -> None:
        self.said: dict[str, dict[str, bool]] = {}
        self.unknown, self.is_away = {"U_GONE"}, False
        self.approvers = {"U_APPROVER", "U_OTHER", "U_REQUESTER"}
        self.asked: list[str] = []

    async def person(self, user_id: str) -> Person:
        self.asked.append(user_id)
        if self.is_away:
            raise Unanswerable("Slack does not tell Keyturn who you are.")
        if user_id in self.unknown:
            raise NotAllowed("I cannot find you.")
        return Person(id=user_id, **self.said.get(user_id, {}))

    async def members(self, group_id: str) -> frozenset[str]:
        self.asked.append(group_id)
        return frozenset(self.approvers)

    async def recent(self, _: str) -> None:
        pass


class Desk:
    """What people can ask for, over a real store and a sandbox's AISIX."""

    def __init__(self, service: RotationService, store: Store, tenant: Tenant, slack: Slack) -> None:
        self.service, self.store, self.tenant, self.slack = service, store, tenant, slack

    async def save(self, record: Rotation, **changes: Any) -> Rotation:
        return await self.store.save(record.but(**changes), {"by": "a test", "what": "recorded", "why": ""}, at=NOW)

    async def ask(self, name: str, by: str = "U_REQUESTER", channel: str = "C_OPS") -> Rotation:
        return await self.service.start(name, by=by, team="T1", channel=channel)

    async def approve(self, record: Rotation, **given: Any) -> Rotation:
        return await self.service.approve(record.id, **{"by": "U_APPROVER", "pressed": AT_ONCE} | given)


AT_ONCE = Pressed(away=timedelta(0))
PEPPER = SecretStr("a pepper that is long enough to be one")


@pytest.fixture
async def desk(tenant: Tenant, store: Store, queue: RedisQueue) -> Desk:
    slack = Slack()
    service = RotationService(
        store=store,
        jobs=Jobs(queue),
        control_plane=await tenant.control_plane(),
        directory=slack,
        rules=rules(approvers=frozenset({"S_APPROVERS"}), escalation=frozenset({"U_ONCALL"})),
        gateways=frozenset({tenant.environment}),
        now=lambda: NOW,
        pepper=PEPPER,
    )
    return Desk(service, store, tenant, slack)
