"""OpenTelemetry: a span for each request that a client makes and for each handler, all in one trace (extra `otel`).

Only the API is used here: where spans go is up to the SDK that the program sets up. Call `instrument` once, in clients
and in workers, before the first request.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from typing import Final

from opentelemetry import trace as otel
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from hootbus.frames.errors import HootError
from hootbus.workers.trace import Ended, install

_SYSTEM: Final = "hootbus"
_TRACEPARENT: Final = "traceparent"


def instrument(tracer_provider: TracerProvider | None = None) -> None:
    """From now on each request and each handler of this process has a span, by this provider or the global one."""
    install(_Spans(otel.get_tracer("hootbus", version("hootbus"), tracer_provider)))


def uninstrument() -> None:
    """No more spans; traces are still continued."""
    install(None)


class _Spans:
    def __init__(self, tracer: otel.Tracer) -> None:
        self._tracer = tracer
        self._propagator = TraceContextTextMapPropagator()

    def calling(self, target: str, traceparent: str) -> tuple[str, Ended]:
        service, _, method = target.partition("/")
        span = self._tracer.start_span(
            target,
            self._context(traceparent) if traceparent else None,
            SpanKind.CLIENT,
            _attributes(service, method),
        )
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier, otel.set_span_in_context(span))

        def ended(error: HootError | None) -> None:
            if error is not None:
                _failed(span, error)
            span.end()

        return carrier.get(_TRACEPARENT, traceparent), ended

    @contextmanager
    def handling(self, service: str, method: str, traceparent: str) -> Iterator[None]:
        with self._tracer.start_as_current_span(
            f"{service}/{method}",
            self._context(traceparent),
            SpanKind.SERVER,
            _attributes(service, method),
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except Exception as error:
                _failed(span, error)
                raise

    def _context(self, traceparent: str) -> Context:
        # From an empty context: a worker's thread has none of its own that a request should belong to.
        return self._propagator.extract({_TRACEPARENT: traceparent}, Context())


def _attributes(service: str, method: str) -> dict[str, str]:
    return {"rpc.system": _SYSTEM, "rpc.service": service, "rpc.method": method}


def _failed(span: otel.Span, error: Exception) -> None:
    code = error.code if isinstance(error, HootError) else type(error).__name__
    span.set_attribute("error.type", code)
    span.set_status(Status(StatusCode.ERROR, f"{code}: {error}"))
