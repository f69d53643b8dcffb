"""Traces as OpenTelemetry has them, by its semantic conventions; importing this needs the extra `otel`.

Each rotation is one trace. Its id gives the ids of the trace and of the span of the whole, so all processes add to one
trace. A span says where a request went and how it ended, and nothing of what was sent or answered.
"""

import asyncio
import hashlib
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from opentelemetry import context, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, StatusCode, TraceFlags

from bot import __version__
from bot.telemetry.tracing import End

FLUSH = 5.0
"""Seconds to send the last spans at the end of the process."""

FAILED = 400
"""The first status of a request that failed."""


@asynccontextmanager
async def sending() -> AsyncIterator["Otel"]:
    """Send spans where OpenTelemetry's environment variables say."""
    one = Otel(BatchSpanProcessor(OTLPSpanExporter()))
    try:
        yield one
    finally:
        flushing = threading.Thread(target=one.close, daemon=True)  # a collector that hangs must not hold the end
        flushing.start()
        await asyncio.to_thread(flushing.join, FLUSH)


class Ids(RandomIdGenerator):
    """Makes up ids, but for the span of a whole rotation."""

    whole: SpanContext | None = None

    def generate_span_id(self) -> int:
        """Return the id of a span."""
        return self.whole.span_id if self.whole else super().generate_span_id()

    def generate_trace_id(self) -> int:
        """Return the id of a trace."""
        return self.whole.trace_id if self.whole else super().generate_trace_id()


def whole(rotation: str) -> SpanContext:
    """Return the place of the span of a whole rotation."""
    digest = hashlib.sha256(rotation.encode()).digest()
    trace_id, span_id = int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])
    return SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(TraceFlags.SAMPLED))


class Otel:
    """Notes spans, and hands them to *processor*."""

    def __init__(self, processor: SpanProcessor) -> None:
        self._ids = Ids()
        resource = Resource.create({"service.name": "keyturn", "service.version": __version__})
        self._provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("keyturn", __version__)

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    @contextmanager
    def within(self, rotation: str) -> Iterator[None]:
        """Let what is done in the block belong to the trace of a rotation."""
        token = context.attach(trace.set_span_in_context(NonRecordingSpan(whole(rotation))))
        try:
            yield
        finally:
            context.detach(token)

    @contextmanager
    def step(self, rotation: str, name: str) -> Iterator[End]:
        """Note one turn of a step."""
        of = {"keyturn.rotation.id": rotation, "keyturn.step": name}
        with self.within(rotation), self._span(f"step {name}", SpanKind.INTERNAL, of) as span:
            yield lambda outcome: span.set_attribute("keyturn.step.outcome", outcome)

    @contextmanager
    def call(self, method: str, url: str) -> Iterator[End]:
        """Note a request over HTTP, if it belongs to a rotation."""
        if not trace.get_current_span().get_span_context().is_valid:
            yield str
            return
        with self._span(method, SpanKind.CLIENT, {"http.request.method": method, **_place(url)}) as span:
            yield lambda outcome: _answered(span, outcome)

    def ended(self, rotation: str, state: str, began: datetime, at: datetime) -> None:
        """Note a whole rotation."""
        of = {"keyturn.rotation.id": rotation, "keyturn.rotation.state": state}
        self._ids.whole = whole(rotation)
        try:
            span = self._tracer.start_span("rotation", context.Context(), attributes=of, start_time=_nanoseconds(began))
        finally:
            self._ids.whole = None
        span.end(_nanoseconds(at))

    @contextmanager
    def _span(self, name: str, kind: SpanKind, attributes: Mapping[str, Any]) -> Iterator[Span]:
        """Note a span; of an exception only its type, as its text may repeat what was sent."""
        with self._tracer.start_as_current_span(
            name, kind=kind, attributes=attributes, record_exception=False, set_status_on_exception=False
        ) as span:
            try:
                yield span
            except BaseException as error:
                span.set_attribute("error.type", type(error).__name__)
                span.set_status(StatusCode.ERROR)
                raise


def _answered(span: Span, outcome: str) -> None:
    """Note a status, or the word of a service that refuses."""
    if outcome.isdecimal():
        span.set_attribute("http.response.status_code", int(outcome))
    if not outcome.isdecimal() or int(outcome) >= FAILED:
        span.set_attribute("error.type", outcome)
        span.set_status(StatusCode.ERROR)


def _place(url: str) -> dict[str, Any]:
    """Return where a request goes, without user, password and query."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or {"http": 80, "https": 443}.get(parts.scheme, 0)
    full = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    return {"server.address": host, "server.port": port, "url.full": full}


def _nanoseconds(at: datetime) -> int:
    return int(at.timestamp() * 1_000_000_000)
