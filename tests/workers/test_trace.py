"""A trace goes on through handlers, wherever these run, and OpenTelemetry sees each of its steps."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from hootbus.bus.embedded import EmbeddedBroker
from hootbus.workers import AsyncClient, Client, HandlerFailed, Request, Worker, otel
from hootbus.workers.trace import Trace, read_traceparent

ID, SPAN = b"4bf92f3577b34da6a3ce929d0e0e4736", b"00f067aa0ba902b7"
GIVEN = b"00-%b-%b-01" % (ID, SPAN)


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        (GIVEN, 1),
        (b"00-%b-%b-a3" % (ID, SPAN), 0xA3),
        # Of a later version: more behind it, and flags whose meaning is not known.
        (b"01-%b-%b-a3" % (ID, SPAN), 1),
        (b"01-%b-%b-00-more" % (ID, SPAN), 0),
    ],
)
def test_a_traceparent_names_its_trace(text: bytes, flags: int) -> None:
    assert read_traceparent(text) == Trace(ID, flags)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"00-1-2-01",
        GIVEN.upper(),
        GIVEN + b"-more",
        GIVEN + b"\n",
        b"01-%b-%b-00more" % (ID, SPAN),
        b"ff-%b-%b-01" % (ID, SPAN),
        b"00-%b-%b-01" % (b"0" * 32, SPAN),
        b"00-%b-%b-01" % (ID, b"0" * 16),
    ],
)
def test_what_is_malformed_is_not_continued(text: bytes) -> None:
    assert read_traceparent(text) is None


@given(st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"))
def test_any_bytes_name_a_trace_or_none_and_what_follows_names_the_same(text: bytes) -> None:
    trace = read_traceparent(text)
    if trace is not None:
        following = trace.to_next(7)
        assert read_traceparent(following) == trace
        assert following.endswith(b"-%016x-%02x" % (7, trace.flags))


@pytest.fixture
def bus() -> Iterator[EmbeddedBroker]:
    """Handlers of each kind, that tell what reached the handler they asked in turn."""
    with EmbeddedBroker() as bus:
        end = Worker("end")

        @end.method(inline=True)
        def told(request: Request) -> str:
            return request.traceparent

        @end.method
        def fail() -> None:
            raise ValueError("no")

        bus.worker(end)
        client, asking = bus.client(), Worker("asking", slots=8)

        @asking.method
        def thread() -> object:
            return client.call("end/told").json()

        @asking.method
        async def task() -> object:
            async with AsyncClient(bus.address) as own:
                await asyncio.sleep(0)
                return (await own.call("end/told")).json()

        @asking.method
        def items() -> Iterator[str]:
            yield client.call("end/told").json()
            yield client.submit("end/told").result(10).json()

        @asking.method
        async def aitems() -> AsyncIterator[str]:
            async with AsyncClient(bus.address) as own:
                yield (await own.call("end/told")).json()

        @asking.method
        def fails() -> None:
            client.call("end/fail")

        bus.worker(asking)
        yield bus


@pytest.fixture
def client(bus: EmbeddedBroker) -> Client:
    return bus.client()


@pytest.mark.parametrize("method", ["thread", "task", "items", "aitems"])
def test_what_a_handler_asks_belongs_to_its_requests_trace_under_a_new_span(client: Client, method: str) -> None:
    for number in range(2):
        answer = client.call(f"asking/{method}", traceparent=GIVEN.decode()).json()
        heard = answer if isinstance(answer, list) else [answer]
        assert len(set(heard)) == len(heard)
        for each in heard:
            version, trace, span, flags = each.encode().split(b"-")
            assert (version, trace, flags) == (b"00", ID, b"01"), number
            assert span != SPAN
    # The next request of the same thread has no trace, or none that could be continued.
    for traceparent in ("", "00-1-2-01"):
        answer = client.call(f"asking/{method}", traceparent=traceparent).json()
        assert set(answer if isinstance(answer, list) else [answer]) == {""}


@pytest.fixture
def spans() -> Iterator[Callable[[], list[ReadableSpan]]]:
    exporter, provider = InMemorySpanExporter(), TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    otel.instrument(provider)

    def ended() -> list[ReadableSpan]:
        return sorted(exporter.get_finished_spans(), key=lambda span: span.start_time or 0)

    try:
        yield ended
    finally:
        otel.uninstrument()


def facts(span: ReadableSpan) -> tuple[str, Any]:
    return span.name, span.kind


@pytest.mark.parametrize("method", ["thread", "task", "aitems"])
def test_each_request_and_each_handler_is_a_span_within_the_one_that_asked(
    client: Client, spans: Callable[[], list[ReadableSpan]], method: str
) -> None:
    client.call(f"asking/{method}")
    ended = spans()
    target = f"asking/{method}"
    assert [facts(span) for span in ended] == [
        (target, SpanKind.CLIENT),
        (target, SpanKind.SERVER),
        ("end/told", SpanKind.CLIENT),
        ("end/told", SpanKind.SERVER),
    ]
    parents = [span.parent.span_id if span.parent is not None else None for span in ended]
    assert parents == [None, *(span.get_span_context().span_id for span in ended[:-1])]  # type: ignore[union-attr]  # it ended
    assert ended[0].attributes == {"rpc.system": "hootbus", "rpc.service": "asking", "rpc.method": method}
    assert all(span.status.status_code is StatusCode.UNSET for span in ended)


def test_what_fails_says_so_in_its_span(client: Client, spans: Callable[[], list[ReadableSpan]]) -> None:
    with suppress(HandlerFailed):
        client.call("asking/fails")
    ended = spans()
    assert [span.status.status_code for span in ended] == [StatusCode.ERROR] * 4
    assert [(span.attributes or {})["error.type"] for span in ended] == [
        "handler_error",
        "handler_error",
        "handler_error",
        "ValueError",
    ]


def test_a_request_that_is_given_up_has_an_ended_span(
    bus: EmbeddedBroker, spans: Callable[[], list[ReadableSpan]]
) -> None:
    with Client(bus.address) as own:
        own.submit("nobody/home", wait=True).cancel()
    [span] = spans()
    assert (span.attributes or {})["error.type"] == "cancelled"


def test_a_traceparent_that_is_given_is_the_spans_parent(
    client: Client, spans: Callable[[], list[ReadableSpan]]
) -> None:
    client.call("end/told", traceparent=GIVEN.decode())
    asked, _ = spans()
    assert asked.parent is not None
    assert (b"%032x" % asked.parent.trace_id, b"%016x" % asked.parent.span_id) == (ID, SPAN)
