"""A rotation is one trace, of all processes; it holds no secret, and without an address for it nothing happens."""

import subprocess
import sys
from typing import Any

import pytest
from aiohttp import web
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from bot.rotation.record import Rotation
from bot.rotation.states import State
from bot.telemetry import tracing
from bot.telemetry.otel import Otel, whole
from bot.telemetry.tracing import ADDRESSES, sent, tracer, using
from bot.worker import Work
from tests.bot.conftest import answering
from tests.bot.values import EVENT, NOW, SECRET, later, rotation
from tests.support.canary import parts
from tests.support.in_memory import NEW_SECRET


class Traces:
    """Every span of a process, as its exporter gets them."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.otel = Otel(SimpleSpanProcessor(self.exporter))

    def spans(self) -> list[Any]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> list[Any]:
        return [span for span in self.spans() if span.name == name]


@pytest.fixture
def traces():
    made = Traces()
    with using(made.otel):
        yield made


async def test_every_step_and_its_calls_are_spans_of_the_one_trace_of_the_rotation(traces, tenancy):
    record = await tenancy.begun(machine := await tenancy.machine())
    await machine.done(record, "baseline")

    place, ids = whole(record.id), {span.context.span_id: span for span in traces.spans()}
    turns = [span for span in ids.values() if span.name.startswith("step ")]
    assert {span.context.trace_id for span in ids.values()} == {place.trace_id}
    assert {(span.name, span.attributes["keyturn.step.outcome"]) for span in turns} >= {
        ("step replace", "done"),
        ("step baseline", "done"),
    }
    assert {span.parent.span_id for span in turns} == {place.span_id}
    asked = [span for span in traces.named("POST") if "/v1/chat/completions" in span.attributes["url.full"]]
    assert {ids[span.parent.span_id].name for span in asked} == {"step baseline"}
    assert {(span.kind, span.attributes["http.response.status_code"]) for span in asked} == {(SpanKind.CLIENT, 200)}


class Shows:
    """Shows a record with one call."""

    async def show(self, _: Rotation) -> None:
        with tracer().call("POST", "https://slack.com/api/chat.update"):
            pass


async def test_what_shows_a_rotation_belongs_to_its_trace_though_no_step_does_it(traces, store):
    record = await store.save(rotation(), EVENT, at=NOW)
    await Work(store, None, None, Shows(), None).announce({}, rotation_id=record.id)

    (span,) = traces.spans()
    assert (span.context.trace_id, span.parent.span_id) == (whole(record.id).trace_id, whole(record.id).span_id)


async def test_no_span_holds_a_secret(traces, tenancy):
    record = await tenancy.begun(machine := await tenancy.machine())
    await machine.until(record, lambda r: r.state is State.AWAITING_APPROVAL)

    said = "".join(span.to_json() for span in traces.spans())
    assert len(traces.spans()) > 20
    assert [part for secret in (NEW_SECRET, SECRET) for part in parts(secret) if part in said] == []
    assert "Bearer" not in said


async def test_the_span_of_a_rotation_is_made_at_its_end_by_any_process(traces, store):
    first = await store.save(rotation(requested_at=NOW), EVENT, at=NOW)
    assert traces.spans() == []
    ended = first.to(State.CANCELLED).but(ended_at=later(60))
    await store.save(ended, EVENT, at=NOW)

    (span,) = traces.spans()
    assert (span.name, span.parent, span.context.span_id) == ("rotation", None, whole(first.id).span_id)
    assert (span.end_time - span.start_time, span.attributes["keyturn.rotation.state"]) == (60 * 10**9, "CANCELLED")
    with tracer().step(first.id, "tidy"):
        pass
    assert traces.spans()[1].context.span_id != span.context.span_id


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://user:secret@gw.example/status?token=secret", ("https://gw.example/status", "gw.example", 443)),
        ("http://[::1]:9090/metrics", ("http://[::1]:9090/metrics", "::1", 9090)),
    ],
)
def test_an_address_is_shown_without_user_password_and_query(traces, url, shown):
    with tracer().within("r1"), tracer().call("GET", url):
        pass

    said = traces.spans()[0].attributes
    assert (said["url.full"], said["server.address"], said["server.port"]) == shown
    assert "secret" not in traces.spans()[0].to_json()


@pytest.mark.parametrize(
    ("outcome", "error"),
    [("204", None), ("404", "404"), ("ratelimited", "ratelimited"), (ValueError(SECRET), "ValueError")],
)
def test_a_call_that_failed_says_so_by_its_status_or_the_type_of_the_error(traces, outcome, error):
    try:
        with tracer().within("r1"), tracer().call("GET", "http://gw.example/") as ended:
            if isinstance(outcome, Exception):
                raise outcome
            ended(outcome)
    except ValueError:
        pass

    (span,) = traces.spans()
    assert (span.attributes.get("error.type"), span.status.is_ok) == (error, error is None)
    assert (span.events, SECRET in span.to_json()) == ((), False)


def test_a_call_that_belongs_to_no_rotation_is_not_noted(traces):
    with tracer().call("GET", "http://gw.example/"):
        pass

    assert traces.spans() == []


# --- where they go ---


@pytest.fixture
def no_address(monkeypatch):
    for name in ADDRESSES:
        monkeypatch.delenv(name, raising=False)


async def test_with_an_address_the_spans_are_sent_there_before_the_process_ends(no_address, monkeypatch):
    bodies = []

    async def collect(request) -> web.Response:
        bodies.append((request.path, await request.read()))
        return web.Response()

    async with answering(collect) as url:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", url)
        async with sent():
            with tracer().step("r1", "verify"):
                pass

    ((path, body),) = bodies
    assert (path, b"step verify" in body) == ("/v1/traces", True)


async def test_without_the_extra_the_bot_runs_and_logs_that_no_spans_are_sent(no_address, monkeypatch, capsys):
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "bot.telemetry.otel", None)
    async with sent():
        with tracer().step("r1", "verify") as ended:
            ended("done")

    assert "traces_not_sent" in capsys.readouterr().out


async def test_without_an_address_no_spans_are_made(no_address):
    async with sent():
        assert isinstance(tracer(), tracing.Nothing)


def test_the_bot_runs_without_opentelemetry():
    barred = "import sys; sys.modules['opentelemetry'] = None; "
    asks = f"{barred}import bot.start, bot.cli; print('bot.telemetry.otel' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", asks], capture_output=True, text=True, check=True)

    assert ran.stdout == "False\n"
