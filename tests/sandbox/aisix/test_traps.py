"""The traps in which real gateways showed a green light that proved nothing: what is true in each, and what shows."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

LLM, PROXY = "aisix_llm_requests_total", "aisix_proxy_requests_total"
DEPLOYMENT, USAGE = "aisix_deployment_requests_total", "aisix_usage_events_emitted_total"
FAMILIES = {LLM, PROXY, DEPLOYMENT, USAGE}
NEW = "sk-new-0123456789abcdef"
OTHER = "sk-other-0123456789"


class CutOver:
    """A tenant whose only model has moved to a new key, with what each listed replica counted before."""

    def __init__(self, tenant: Any) -> None:
        self.tenant, self.aisix, self.old = tenant, tenant.aisix, tenant.key
        self.other = self.aisix.add_key("Another vendor", secret=OTHER)
        self.listed = list(self.aisix.replicas("production"))

    async def move(self) -> None:
        self.new = self.aisix.add_key("replacement", secret=NEW)
        self.aisix.edit(self.tenant.model, key=self.new, settled=True)
        self._before = {family: await self._all(family, self.old.id) for family in FAMILIES}
        self._answered = self.aisix.upstream.answered(self.old.secret)

    @property
    def on_the_old(self) -> int:
        """How many requests the provider has seen with the old secret since the cut-over: the truth."""
        return int(self.aisix.upstream.answered(self.old.secret) - self._answered)

    async def shown(self) -> set[str]:
        """The families in which a listed replica has counted the old key since the cut-over."""
        now = {family: await self._all(family, self.old.id) for family in FAMILIES}
        return {family for family in FAMILIES if now[family] > self._before[family]}

    async def rows(self, family: str) -> list[tuple[dict[str, str], int]]:
        """Every row of a family on the listed replicas."""
        found = []
        for number, _ in enumerate(self.listed):
            text = (await self.tenant.status("/metrics", number)).text
            samples = [each for one in text_string_to_metric_families(text) for each in one.samples]
            found += [(sample.labels, int(sample.value)) for sample in samples if sample.name == family]
        return found

    async def _all(self, family: str, key_id: str) -> int:
        return sum(value for labels, value in await self.rows(family) if labels.get("provider_key_id") == key_id)


@pytest.fixture
def world(tenant):
    return CutOver(tenant)


# --- a use of the old key that no model of the rotation makes ---


async def a_passthrough_route(world: CutOver) -> None:
    world.aisix.add_passthrough("production", "raw", key=world.old)
    await world.move()
    await world.tenant.ask(path="/passthrough/raw/chat/completions")


async def a_hidden_attempt(world: CutOver) -> None:
    first = world.aisix.add_model("production", "first", key=world.old)
    second = world.aisix.add_model("production", "second", key=world.other)
    targets = {"targets": [first, second], "strategy": "failover"}
    world.aisix.add_model("production", "any", kind="routing", **targets)
    await world.move()
    world.aisix.upstream.set(world.old.secret, 503)
    assert (await world.tenant.ask("any")).headers["x-aisix-served-by"] == "second"


async def an_ensembles_panel(world: CutOver) -> None:
    member = world.aisix.add_model("production", "member", key=world.old)
    judge = world.aisix.add_model("production", "judge", key=world.other)
    world.aisix.add_model("production", "board", kind="ensemble", panel=[member], judge=judge)
    await world.move()
    await world.tenant.ask("board")


async def a_routers_embedding_call(world: CutOver) -> None:
    embedding = world.aisix.add_model("production", "embed", kind="embedding", key=world.old)
    default = world.aisix.add_model("production", "default", key=world.other)
    parts = {"embedding_model": embedding, "routes": [], "default": default}
    world.aisix.add_model("production", "support", kind="semantic", **parts)
    await world.move()
    await world.tenant.ask("support")


async def an_embedding_behind_a_router(world: CutOver) -> None:
    """A hidden attempt that is no deployment's either: embeddings are in none of them."""
    first = world.aisix.add_model("production", "first", kind="embedding", key=world.old)
    second = world.aisix.add_model("production", "second", kind="embedding", key=world.other)
    targets = {"targets": [first, second], "strategy": "failover"}
    world.aisix.add_model("production", "any", kind="routing", **targets)
    await world.move()
    world.aisix.upstream.set(world.old.secret, 503)
    assert (await world.tenant.ask("any", "/v1/embeddings", input="x")).status_code == 200


async def a_model_of_its_own(world: CutOver) -> None:
    world.aisix.add_model("production", "late", key=world.old)
    await world.move()
    await world.tenant.ask("late")


USES: dict[str, tuple[Callable[[CutOver], Awaitable[None]], set[str]]] = {
    "a model that was bound to it late": (a_model_of_its_own, FAMILIES),
    "a passthrough route": (a_passthrough_route, {PROXY}),
    "an attempt that a fallback hides": (a_hidden_attempt, {DEPLOYMENT, USAGE}),
    "an embedding that a fallback hides": (an_embedding_behind_a_router, {USAGE}),
    "an ensemble's panel": (an_ensembles_panel, {USAGE}),
    "a semantic router's embedding call": (a_routers_embedding_call, set()),
}


@pytest.mark.parametrize(("use", "shows"), USES.values(), ids=USES)
async def test_each_use_of_the_old_key_shows_in_its_own_families_only(world, use, shows):
    await use(world)

    assert world.on_the_old == 1
    assert await world.shown() == shows


async def test_a_route_that_no_list_shows_uses_the_old_key_until_it_is_deleted(world):
    world.aisix.switches.has_passthrough_routes = False
    await a_passthrough_route(world)
    path = f"/environments/{world.tenant.environment}/passthrough_routes"
    assert (await world.tenant.api.get(path)).status_code == 404
    assert world.on_the_old == 1

    assert (await world.tenant.api.delete(f"/provider_keys/{world.old.id}")).is_success, "nothing refuses the delete"
    await world.aisix.until(world.aisix.projected, what="the delete at the gateways")
    assert (await world.tenant.ask(path="/passthrough/raw/chat/completions")).status_code == 400


# --- replicas ---


async def test_a_replica_that_nobody_listed_uses_the_old_key_while_every_listed_one_looks_well(world):
    await world.aisix.add_replica("production", is_cut_off=True)
    await world.move()
    world.aisix.add_model("production", "keyturn-barrier", key=world.new)
    answers = [(await world.tenant.ask()).status_code for _ in range(6)]

    assert answers == [200] * 6
    assert world.on_the_old == 2
    assert await world.shown() == set()
    for number in (0, 1):
        config = (await world.tenant.status("/status/config", number)).json()
        models = (await world.tenant.status("/status/models", number)).json()
        assert (config["state"], config["source"]["connected"]) == ("synced", True)
        assert "keyturn-barrier" in {row["display_name"] for row in models}
    assert [(await world.tenant.ask("keyturn-barrier")).status_code for _ in range(3)].count(404) == 1


@pytest.mark.parametrize(("labels", "told"), [("real", True), ("names", False)])
async def test_callers_requests_fill_the_gap_that_an_unlisted_replica_leaves(world, labels, told):
    """Of our own requests some are in no listed replica's counters: only the caller's key tells that."""
    world.aisix.switches.metric_labels = labels
    await world.aisix.add_replica("production", is_cut_off=True)
    await world.move()
    app = world.aisix.app_caller_key("production")
    for _ in range(6):
        await world.tenant.ask()
        await world.tenant.ask(token=app)
    rows = [(row, count) for row, count in await world.rows(LLM) if row["provider_key_id"] == world.new.id]
    own = world.aisix.caller("production", "probe").id

    assert sum(count for _, count in rows) >= 6, "as many as we have sent, by all callers together"
    assert ("api_key_id" in rows[0][0]) is told
    assert sum(count for row, count in rows if row.get("api_key_id") == own) < 6


async def test_a_run_of_good_answers_tells_nothing_of_a_replica_that_is_stuck(world):
    world.aisix.switches.balancing = "chance"
    world.listed[0].silent = True
    await world.move()
    world.aisix.add_model("production", "keyturn-barrier", key=world.new)
    answers = [(await world.tenant.ask("keyturn-barrier")).is_success for _ in range(80)]

    assert any(all(answers[start : start + 3]) for start in range(78))
    assert not all(answers)


async def test_a_replica_whose_source_is_silent_uses_the_old_key_and_looks_well(world):
    world.listed[0].silent = True
    await world.move()
    await world.tenant.ask(url=world.listed[0].url)
    config = (await world.tenant.status("/status/config")).json()

    assert world.on_the_old == 1
    assert (config["state"], config["source"]["connected"], config["last_failure"]) == ("synced", True, None)
    assert config["source"]["observed_revision"] == config["applied"]["applied_revision"]
    assert LLM in await world.shown(), "only its counters tell, once it is asked"


async def test_a_third_key_serves_a_model_and_neither_of_the_two_shows_it(world):
    world.listed[0].astray = {world.tenant.model.id: world.other.id}
    await world.move()
    await world.tenant.ask(url=world.listed[0].url)
    keys = {row["provider_key_id"] for row, _ in await world.rows(LLM)}

    assert (world.on_the_old, world.aisix.upstream.answered(NEW)) == (0, 0)
    assert keys == {world.other.id}


# --- figures and blame ---


async def test_a_rate_limit_counts_as_failures_of_a_key_that_never_failed(world):
    world.aisix.switches.limit_window = 3600.0
    world.aisix.caller("production", "app").limit = 1
    await world.move()
    app = world.aisix.app_caller_key("production")
    for _ in range(4):
        await world.tenant.ask(token=app, url=world.listed[0].url)
    found = {row["outcome"]: count for row, count in await world.rows(LLM)}

    assert found == {"success": 1, "rate_limited": 3}
    assert world.aisix.upstream.answered(NEW) == 1
    assert sum(count for _, count in await world.rows(DEPLOYMENT)) == 1


async def test_the_cache_counts_as_answers_of_a_key_that_no_longer_works(world):
    world.aisix.environment("production").cache = True
    await world.tenant.ask(url=world.listed[0].url)
    await world.move()
    world.aisix.upstream.refuse(NEW)
    answer = await world.tenant.ask(url=world.listed[0].url)
    (found,) = [row for row, _ in await world.rows(LLM) if row["provider_key_id"] == world.new.id]

    assert (answer.status_code, found["outcome"]) == (200, "success")
    assert world.aisix.upstream.answered(NEW) == 0
    assert all(row["provider_key_id"] != world.new.id for row, _ in await world.rows(DEPLOYMENT))


async def test_a_misconfigured_model_fails_with_a_good_key_as_it_did_with_the_old(tenant):
    document = {"access_key_id": "a", "secret_access_key": "s", "region": "eu"}
    old, new = (
        tenant.aisix.add_key(name, provider="amazon-bedrock", secret=json.dumps(document | {"session_token": name}))
        for name in ("old", "new")
    )
    model = tenant.aisix.add_model("production", "odd", key=old, upstream="no-such-publisher")
    before = await tenant.failure("odd")
    tenant.aisix.edit(model, key=new, settled=True)

    assert await tenant.failure("odd") == before == (500, "config_error", None)
    assert tenant.aisix.upstream.calls == [], "nobody has looked at either secret"


# --- pages ---
