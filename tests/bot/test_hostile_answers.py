"""Whatever AISIX, a gateway or a status address answers, it is read or said to be unreadable, and does nothing else."""

import asyncio
import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from typing import Any, NamedTuple

import httpx
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from hypothesis import strategies as st
from pydantic import SecretStr

from bot.aisix import reading
from bot.aisix.answers import evidence
from bot.aisix.control_plane import ControlPlane, address
from bot.aisix.pages import is_foreign, read_config, read_models
from bot.aisix.paging import Answer, Signs, rows
from bot.aisix.probes import Gateways, GatewaySettings, read_answer
from bot.aisix.status import StatusPages
from bot.aisix.untrusted_json import DEEPEST, UnreadableJson, decoded
from bot.aisix.waiting import retry_after
from bot.rotation.errors import ApiError, KeyturnError, Uncertain
from bot.rotation.inventory import Inventory
from bot.rotation.phrases import sendable
from bot.rotation.plan import make_plan
from bot.rotation.ports import Asked, Keys
from bot.rotation.record import Rotation
from bot.rotation.replica import Replica
from bot.rotation.states import State
from handlers.views.composed import composed
from handlers.views.thread import checklist
from tests.bot.conftest import answering
from tests.bot.values import NOW, affected, key
from tests.handlers.limits import complaints, strays
from tests.support.hostile import BODIES, JSON, WORDS, amounts, encoded, fuzz

Tried = Callable[..., None]
MOST = 100_000
GENUINE: dict[str, Any] = {
    "/environments": [{"id": "env_p", "name": "production"}],
    "/provider_keys": [
        {
            "id": "pk_old",
            "display_name": "OpenAI production",
            "provider": "openai",
            "allowed_environments": ["env_p"],
            "api_base": "https://api.openai.com/v1",
            "request": {"default_headers": {"X-A": "1"}},
        }
    ],
    "/budgets": [{"scope": "provider_key", "scope_id": "pk_old"}],
    "/environments/env_p/models": [
        {"id": "m1", "display_name": "chat-large", "provider_key_id": "pk_old", "model_name": "gpt-4o"},
        {"id": "m2", "display_name": "any", "routing": {"targets": [{"model": "m1"}]}},
    ],
    "/environments/env_p/cache_policies": [{"id": "cp1", "name": "policy", "semantic": {"embedding": {"model": "m1"}}}],
    "/environments/env_p/passthrough_routes": [{"id": "rt1", "name": "raw", "provider_key_id": "pk_old"}],
}


class Server(NamedTuple):
    """A server that answers as it was told to last."""

    run: Callable[[Any], Any]
    answers: dict[str, tuple[bytes, dict[str, str]]]
    url: str
    stack: AsyncExitStack


@contextmanager
def serving(run: Callable[[Any], Any]) -> Iterator[Server]:
    """Serve in the loop of *run* what a test puts into `answers`, by path; what is not there is not found."""
    answers: dict[str, tuple[bytes, dict[str, str]]] = {}

    async def handle(request: web.Request) -> web.Response:
        found = answers.get(request.path, answers.get("*"))
        return web.Response(body=found[0], headers=found[1]) if found else web.Response(status=404)

    site = web.Application()
    site.add_routes([web.route("*", "/{path:.*}", handle)])
    server, stack = TestServer(site), AsyncExitStack()
    run(server.start_server())
    yield Server(run, answers, str(server.make_url("")).rstrip("/"), stack)
    run(stack.aclose())
    run(server.close())


def control_plane(server: Server, most: int = MOST) -> ControlPlane:
    made = ControlPlane(server.url, SecretStr("t"), grace=30, timeout=5, concurrency=4, attempts=1, most=most)
    return server.run(server.stack.enter_async_context(made))


@st.composite
def tenants(draw: st.DrawFn) -> dict[str, bytes]:
    """Take genuine answers, and spoil one: a field, a row, or the whole."""
    answers = json.loads(json.dumps(GENUINE))
    path = draw(st.sampled_from(sorted(answers)))
    match draw(st.sampled_from(["field", "field", "row", "whole", "bytes", "names"])):
        case "field":
            row = draw(st.sampled_from(answers[path]))
            row[draw(st.sampled_from(sorted(row)))] = draw(JSON)
        case "row":
            answers[path].append(draw(JSON))
        case "whole":
            answers[path] = draw(JSON)
        case "bytes":
            return {p: encoded(a) for p, a in answers.items()} | {path: draw(BODIES)}
        case _:
            for row in [row for listed in answers.values() for row in listed]:
                row |= {name: draw(WORDS) for name in ("display_name", "name") if name in row}
    return {p: encoded(a) for p, a in answers.items()}


def stored(rotation: Rotation) -> Rotation:
    return Rotation.model_validate_json(rotation.model_dump_json())


@amounts(30)
def test_a_hostile_control_plane_is_read_or_refused_and_its_names_are_shown_harmlessly(many, tried):
    with asyncio.Runner() as runner, serving(runner.run) as server:
        client, refused = control_plane(server), list[str]()

        @fuzz(tried, many, tenant=tenants())
        def hold(tenant: dict[str, bytes]) -> None:
            server.answers.clear()
            server.answers.update({path: (body, {}) for path, body in tenant.items()})
            try:
                inventory = server.run(client.inventory())
            except KeyturnError as error:
                refused.append(str(error))
                return
            for old in inventory.keys:
                everything_is_harmless(inventory, old)

    assert all(len(sentence) < 400 for sentence in refused)


def everything_is_harmless(inventory: Inventory, old: Any) -> None:
    plan = make_plan(inventory, old, ["env_p"])
    asked = Rotation(id="r7k2abc", team="T", channel="C_OPS", requested_by="U_REQUESTER", requested_at=NOW, plan=plan)
    assert stored(asked) == asked
    json.dumps(reading.clone(old, name="new", environments=["env_p"]), allow_nan=False).encode()
    for rotation in (asked, asked.but(state=State.CANCELLED, note=f"{old.display_name} is gone.")):
        shown = composed(rotation, "")
        for said in (shown.card, checklist(rotation), *(reply.content for reply in shown.replies())):
            assert complaints(said) == []
            assert strays(said) == []


@amounts(25)
def test_a_hostile_answer_to_a_change_is_done_or_uncertain_and_to_a_probe_or_a_look_proves_and_keeps_nothing(
    many, tried
):
    keys = Keys(frozenset({"pk_old"}), frozenset({"pk_new"}))
    asked = Asked(keys, (affected(environment="prod"),), ("m1",), "keyturn-r")
    with asyncio.Runner() as runner, serving(runner.run) as server:
        settings = {"prod": GatewaySettings(url=server.url, caller_key=SecretStr("ck"), status_urls=(server.url,))}
        enter, options = server.stack.enter_async_context, {"timeout": 5, "now": lambda: NOW, "most": MOST}
        client = control_plane(server)
        gateways = server.run(enter(Gateways(settings, concurrency=4, **options)))
        pages = server.run(enter(StatusPages(settings, **options)))

        @fuzz(
            tried,
            many,
            body=BODIES,
            header=st.sampled_from(["Server", "x-aisix-cache", "x-aisix-served-by", "Retry-After", "X"]),
            said=st.text("abc<>!@U_-/0123456789. ", max_size=300),
            config=BODIES,
            models=BODIES,
            metrics=st.one_of(BODIES, metrics_pages()),
        )
        def hold(body: bytes, header: str, said: str, config: bytes, models: bytes, metrics: bytes) -> None:
            status = {"/status/config": config, "/status/models": models, "/metrics": metrics}
            server.answers.clear()
            server.answers.update({path: (page, {}) for path, page in status.items()})
            server.answers["*"] = (body, {header: said.strip()})
            for change in (
                client.create_key(key(), "new", ["env_p"], SecretStr("sk-x")),
                client.point("m1", "env_p", "pk_new"),
                client.delete_key("pk_old"),
            ):
                with suppress(KeyturnError):
                    made = server.run(change)
                    assert made is None or isinstance(made, str | bool)

            found = server.run(gateways.probe(affected(environment="prod"), "r7k2abc"))
            assert "evil" not in found.reason
            assert strays({"text": found.reason}) == []
            assert len(found.reason) < 300

            (seen,) = server.run(pages.look("prod", asked))
            assert seen.model_validate_json(seen.model_dump_json()) == seen
            assert "evil" not in seen.model_dump_json()


@st.composite
def metrics_pages(draw: st.DrawFn) -> bytes:
    labels = draw(
        st.dictionaries(st.sampled_from(["model", "provider_key_id", "outcome", "status"]), WORDS, max_size=3)
    )
    inner = ",".join(f"{name}={json.dumps(value, ensure_ascii=False)}" for name, value in labels.items())
    value = draw(st.sampled_from(["1", "NaN", "+Inf", "-1", "1e400", "9" * 400, "0x1", "", "1 1 1"]))
    return sendable(f"aisix_llm_requests_total{{{inner}}} {value}\n").encode()


@amounts(150)
def test_no_json_crashes_its_reader_and_no_bytes_are_ambiguous(many, tried):
    @fuzz(tried, many, value=JSON, header=WORDS, body=BODIES, status=st.integers(200, 599))
    def hold(value: Any, header: str, body: bytes, status: int) -> None:
        row = value if isinstance(value, dict) else {"id": value}
        for one in (reading.provider_key, reading.environment, reading.single, reading.identity, reading.name_of):
            one(row)
        for one in (reading.model, reading.cache_policy, reading.passthrough_route):
            one(row, "env_p")
        reading.budgeted_keys([row])
        reading.KeyNames([key()]).mentioned(row)
        rows(value)
        signs = Signs(Answer(value, {"X-Pagination": header, "Link": header}))
        signs.told(), signs.is_more(1, 10), signs.is_last(1, 10, 10), signs.following(1, 10)
        found = read_config(value, ("m1",))
        assert set(found.get("rejected", ())) <= {"m1"}
        Replica(url="http://r:9090", at=NOW, **found)
        read_models(value, "keyturn-")
        is_foreign(value, [affected()])
        retry_after(header)

        evidence(read_answer(httpx.Response(status, content=body)), alias="a", at=NOW)
        with suppress(UnreadableJson):
            json.dumps(decoded(body), ensure_ascii=False, allow_nan=False).encode()


@pytest.mark.parametrize("packed", [False, True])
async def test_an_endless_answer_is_not_read_to_its_end(packed):
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"} if packed else {})
        await response.prepare(request)
        piece = gzip.compress(b"\0" * 10_000_000) if packed else b" " * 50_000
        with suppress(ConnectionError):
            while sent < 500:
                await response.write(piece)
                sent += 1
        return response

    settings: dict[str, Any] = {"grace": 30, "timeout": 20, "concurrency": 1, "attempts": 1, "most": 200_000}
    async with answering(endless) as url, ControlPlane(url, SecretStr("t"), **settings) as client:
        with pytest.raises(Uncertain, match="200,000 bytes"):
            await client.keys()

    assert sent < 500


async def test_an_answer_that_cannot_be_unpacked_or_drips_is_a_failure_that_is_told(tenant):
    async def garbled(_: web.Request) -> web.Response:
        return web.Response(body=b"not gzip", headers={"Content-Encoding": "gzip"})

    async def dripping(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        with suppress(ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        return response

    for handle, said in ((garbled, "broke off"), (dripping, "time-out")):
        async with answering(handle) as url:
            client = await tenant.control_plane(url=url, timeout=1, attempts=1)
            for asked in (client.keys(), client.create_key(key(), "n", (), SecretStr("sk-x"))):
                with pytest.raises(Uncertain, match=said):
                    await asked
            gateways = await tenant.gateways(url=url, timeout=1)
            assert not (await gateways.probe(tenant.affected(), "r")).passed


@pytest.mark.parametrize(
    "raw", [b'{"a": 1, "a": 2}', b"[NaN]", b'{"a": 1e999}', b"[" * (DEEPEST + 1) + b"]" * (DEEPEST + 1), b"", b"\xff"]
)
def test_ambiguous_json_is_unreadable(raw):
    with pytest.raises(UnreadableJson):
        decoded(raw)


def test_a_lone_surrogate_becomes_a_character_that_can_be_sent():
    assert decoded(rb'[{"\ud800": "a\udfff"}, ["\ud800"]]') == [{"?": "a?"}, ["?"]]


def test_an_id_is_one_part_of_an_address_whatever_it_holds():
    assert address("provider_keys", "../environments?x#y") == "/provider_keys/..%2Fenvironments%3Fx%23y"


@pytest.mark.parametrize("part", ["", ".", "..", "x" * 70_000], ids=["empty", "dot", "dots", "long"])
async def test_an_id_that_leads_elsewhere_or_is_too_long_is_no_address(part, tenant):
    with pytest.raises(ApiError, match="no address can carry"):
        await (await tenant.control_plane()).delete_key(part)
