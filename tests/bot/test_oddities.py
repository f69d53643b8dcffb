"""What odd answers, odd settings and odd names must not do."""

from contextlib import suppress
from functools import partial

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

import bot.steps
from bot.aisix.control_plane import ControlPlane
from bot.aisix.probes import read_answer
from bot.aisix.reading import clone, provider_key, references
from bot.engine import move
from bot.rotation.errors import KeyturnError, Uncertain
from bot.rotation.plan import make_plan
from bot.rotation.secret import is_surely_secret, may_be_secret
from bot.rotation.states import StepName
from bot.settings import WrongSettings, read_settings
from bot.steps.outcomes import Done
from bot.steps.world import World
from tests.bot.values import NOW, inventory, key, limits, model, running

GIVEN = {
    "slack_bot_token": "xoxb",
    "slack_app_token": "xapp",
    "aisix_cloud_api": "https://cp.example/api",
    "aisix_admin_token": "at",
    "approvers": "U1",
}


def served(handle) -> TestServer:
    site = web.Application()
    site.add_routes([web.route("*", "/{path:.*}", handle)])
    return TestServer(site)


def test_a_budget_that_names_the_key_by_its_name_is_warned_of():
    seen = inventory([model("a", provider_key="pk_old")], [key()], budgeted_keys=("OpenAI production",))

    assert any("budget" in warning for warning in make_plan(seen, key(), ("prod",)).warnings)


@pytest.mark.parametrize("allowed", [True, 3, "all", "*", {"all": True}])
def test_no_shape_of_allowed_environments_breaks_the_reading_of_a_key_or_invents_one(allowed):
    assert provider_key({"id": "pk", "allowed_environments": allowed}).allowed_environments == ()


def test_tags_and_examples_are_no_references():
    routing = {"routing": {"targets": [{"model": "a", "tags": ["chat-large"]}]}}
    semantic = {"semantic": {"routes": [{"target": "r", "examples": ["chat-large"]}]}}

    assert set(references(routing)) == {("target", "a")}
    assert set(references(semantic)) == {("route", "r")}


async def test_a_408_of_the_control_plane_says_nothing_about_the_effect():
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=408)

    async with served(handle) as server:
        client = ControlPlane(str(server.make_url("")), SecretStr("t"), grace=30, timeout=1, concurrency=1, attempts=1)
        async with client:
            with pytest.raises(Uncertain):
                await client.create_key(key(), "new", (), SecretStr("sk-x"))


async def test_messages_tell_nothing_apart_that_could_be_the_callers_own_key(tenant):
    """On `/v1/messages` a wrong caller key and a wrong credential are the same 401 (facts 6.3)."""
    anthropic = tenant.aisix.add_key("anthropic", provider="anthropic", secret="sk-ant")
    claude = tenant.aisix.add_model("production", "claude", key=anthropic)
    gateways = await tenant.gateways({"claude": "messages"}, caller_key="nonsense")
    found = await gateways.probe(tenant.affected(claude), "rabc123")

    assert not found.passed
    assert not found.blames_credential


@pytest.mark.parametrize("url", ["gw.example", "", "https://", "http://gw:99999"])
def test_the_address_of_a_gateway_is_checked_when_the_settings_are_read(url):
    gateways = {"env": {"url": url, "caller_key": "ck"}}
    with pytest.raises(WrongSettings, match="AISIX_GATEWAYS"):
        read_settings(_env_file=None, **(GIVEN | {"aisix_gateways": gateways}))


def test_a_clone_holds_no_secret_in_a_section_either():
    shown = {"id": "pk", "auth": {"api_key": "sk-…abcd", "client_secret": "***"}}

    assert "api_key" not in str(clone(provider_key(shown), name="n", environments=()))


@pytest.mark.parametrize("content", [b"not gzip", b"[" * 100_000], ids=["encoding", "depth"])
@pytest.mark.parametrize("method", ["keys", "create_key"])
async def test_an_answer_that_cannot_be_decoded_is_uncertain_or_done(content, method):
    headers = {"Content-Encoding": "gzip"} if content.startswith(b"not") else {}

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    client = partial(ControlPlane, token=SecretStr("t"), grace=30, timeout=1, concurrency=1, attempts=1)
    async with served(handle) as server, client(str(server.make_url(""))) as made:
        asked = made.keys() if method == "keys" else made.create_key(key(), "n", (), SecretStr("sk-x"))
        with suppress(KeyturnError):
            assert await asked is None


@pytest.mark.parametrize("content", [b"not gzip", b"[" * 100_000], ids=["encoding", "depth"])
async def test_a_probe_never_raises_whatever_comes_back(content, tenant):
    headers = {"Content-Encoding": "gzip"} if content.startswith(b"not") else {}

    async def handle(_: web.Request) -> web.Response:
        return web.Response(body=content, headers=headers)

    async with served(handle) as server:
        gateways = await tenant.gateways(url=str(server.make_url("")))
        assert not (await gateways.probe(tenant.affected(), "r")).passed


@pytest.mark.parametrize("token", ["at-…", "at-abc\n"])
def test_a_token_that_no_header_can_carry_is_refused_when_the_settings_are_read(token):
    with pytest.raises(WrongSettings, match="AISIX_ADMIN_TOKEN"):
        read_settings(_env_file=None, **(GIVEN | {"aisix_admin_token": token}))


@pytest.mark.parametrize("seconds", [float("inf"), 1e12, 1_763_992_800.0])
async def test_a_server_does_not_keep_a_rotation_waiting_longer_than_patience(seconds, monkeypatch):
    async def run(_: object, __: object) -> Done:
        raise Uncertain("AISIX limits the rate (429).", 429, seconds)

    monkeypatch.setitem(bot.steps.RUN, StepName.REPLACE, run)
    nothing = object()
    world = World(control_plane=nothing, gateways=nothing, status=nothing, limits=limits(), now=lambda: NOW)
    after = await move(running(), world)

    assert after.retry_at <= NOW + limits().patience


def test_a_200_that_holds_an_error_is_not_an_answer():
    body = {"error": {"message": "no", "type": "upstream_error"}, "object": "error", "model": "gpt-4o"}

    assert read_answer(httpx.Response(200, json=body)).malformed


@pytest.mark.parametrize(
    "name",
    [
        "openai_production_europe_2",
        "anthropic_production_eu_1",
        "team/openai/production/2",
        "hf_production_inference",
        "sk-production-openai-europe",
        "OpenAI api_key: production",
    ],
)
def test_a_name_of_words_is_not_taken_for_a_secret(name):
    assert not is_surely_secret(name)
    assert not may_be_secret(name)


@pytest.mark.parametrize(
    "name", ["lease", "control_plane_timeout", "probe_timeout", "slack_timeout", "redis_timeout", "secret_expiry"]
)
def test_a_limit_of_no_time_at_all_is_refused(name):
    with pytest.raises(WrongSettings, match=name.upper()):
        read_settings(_env_file=None, **(GIVEN | {name: "0"}))
