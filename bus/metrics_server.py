"""`--metrics`: what Prometheus and whoever looks after processes ask a broker, over HTTP.

Threads beside the broker's loop, which read nothing of it themselves: they have its core looked at, and wait for that
no longer than `ANSWER_S`, so that a loop that hangs is told of and does not hang them.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import CancelledError
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socket import AF_INET, AF_INET6, socket
from types import TracebackType
from typing import Any, Final, Self, TypeVar

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.exposition import choose_encoder

from hootbus.bus.broker import Broker
from hootbus.bus.core import Core
from hootbus.bus.guard import CannotServe, is_loopback
from hootbus.bus.metrics import Families
from hootbus.bus.ration import Ration

# How long the loop may take to answer before it counts as hanging.
ANSWER_S: Final = 2.0
# Who is slower to ask or to read than this is left.
_PEER_S: Final = 5.0
# At once; more are turned away.
_CONNECTIONS_MAX: Final = 16
_TEXT: Final = "text/plain; charset=utf-8"
_log = logging.getLogger("hootbus.metrics")
T = TypeVar("T")


class MetricsServer:
    """Serves the metrics of a broker from `with` to the end of the block. Raises CannotServe if it cannot.

    `/metrics` is for Prometheus. `/livez` says whether the broker's loop answers, `/readyz` whether it takes new
    requests: with status 200 if so, else 503.
    """

    def __init__(self, broker: Broker, host: str, port: int, *, insecure: bool = False) -> None:
        if not insecure and not is_loopback(f"tcp://{host}:{port}"):
            raise CannotServe(
                f"{host} can be reached from other machines, and everyone there could read the metrics. "
                "Serve them at a loopback address, or say --insecure if the network is closed to strangers."
            )
        try:
            self._server = _Server(broker, host, port)
        except OSError as error:
            raise CannotServe(f"cannot serve metrics at {host}:{port}: {error.strerror or error}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, name="hoot-metrics", daemon=True)

    @property
    def url(self) -> str:
        """Where the metrics are; port 0 has become one that was free."""
        host, port = self._server.server_address[:2]
        assert isinstance(host, str), host
        return f"http://{f'[{host}]' if ':' in host else host}:{port}/metrics"

    @property
    def turned_away(self) -> int:
        """Connections for which there was no room."""
        return self._server.turned_away

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    # A connection that is left open must not keep the broker from ending.
    daemon_threads = True
    block_on_close = False

    def __init__(self, broker: Broker, host: str, port: int) -> None:
        self.broker = broker
        self.process = ProcessCollector(registry=None)
        self.turned_away = 0
        # Whoever connects anew all the time must not fill the log.
        self._lines = Ration(1)
        self._room = threading.BoundedSemaphore(_CONNECTIONS_MAX)
        self.address_family = AF_INET6 if ":" in host else AF_INET
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Without asking the name service what this machine is called, as the standard library's does."""
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as the base has it
        """A thread for it, if there is room for one."""
        if not self._room.acquire(blocking=False):
            self.turned_away += 1
            behind = self._lines.grants("turned away", time.monotonic())
            if behind is not None:
                text = "more than %d connections ask for metrics; one is turned away%s"
                _log.warning(text, _CONNECTIONS_MAX, behind)
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except RuntimeError:  # no room for another thread: the base closes the connection
            self._room.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as above
        """On its thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._room.release()

    def handle_error(self, request: socket | tuple[bytes, socket], client_address: Any) -> None:  # noqa: ANN401  # as above
        """Who went away in the middle is no error of ours."""
        _log.debug("a connection ended early", exc_info=True)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _PEER_S

    def do_GET(self) -> None:
        """One of the three."""
        match self.path.partition("?")[0]:
            case "/metrics":
                self._metrics()
            case "/livez":
                state = self._state()
                self._say(HTTPStatus.OK if state else HTTPStatus.SERVICE_UNAVAILABLE, "alive" if state else "no answer")
            case "/readyz":
                state = self._state()
                status = HTTPStatus.OK if state == "serving" else HTTPStatus.SERVICE_UNAVAILABLE
                self._say(status, state or "no answer")
            case _:
                self._say(HTTPStatus.NOT_FOUND, "there are /metrics, /livez and /readyz")

    def _metrics(self) -> None:
        snapshot = self._look(Core.snapshot)
        if snapshot is None:
            self._say(HTTPStatus.SERVICE_UNAVAILABLE, "no answer")
            return
        registry = CollectorRegistry()
        registry.register(Families(snapshot, self.server.turned_away))
        registry.register(self.server.process)
        encode, content_type = choose_encoder(self.headers.get("Accept", ""))
        self._answer(HTTPStatus.OK, content_type, encode(registry))

    def _state(self) -> str:
        """`serving` or `draining`; empty if the loop does not answer."""
        return self._look(_state_of) or ""

    def _look(self, at: Callable[[Core, float], T]) -> T | None:
        future = self.server.broker.look(at)
        try:
            return future.result(ANSWER_S)
        except (TimeoutError, CancelledError):
            future.cancel()
            return None

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._answer(status, _TEXT, f"{text}\n".encode())

    def _answer(self, status: HTTPStatus, content_type: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def version_string(self) -> str:
        """Nobody needs to know which Python this is."""
        return "hootbus"

    def log_message(self, format: str, *args: object) -> None:
        """Not on stderr, where every scrape would be a line."""
        _log.debug(format, *args)


def _state_of(core: Core, now: float) -> str:
    return core.state
