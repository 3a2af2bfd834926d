"""`hoot broker --metrics`: what is served, to whom, and what is said of a broker that drains, hangs or has ended."""

import socket
import sys
import threading
import urllib.error
import urllib.request
from http.client import HTTPException
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest
from prometheus_client.parser import text_string_to_metric_families

from cli.shell import run_here, started, until
from hootbus.bus import metrics_server
from hootbus.bus.broker import Broker
from hootbus.bus.guard import CannotServe
from hootbus.bus.latencies import BOUNDS_S
from hootbus.bus.metrics_server import MetricsServer
from hootbus.frames.address import parse_address
from hootbus.workers import Client, HandlerFailed, Request, Worker

FREE: Final = "127.0.0.1:0"


def get(url: str, path: str) -> tuple[int, str]:
    """Status and text of one of the pages."""
    try:
        with urllib.request.urlopen(url.replace("/metrics", path), timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def values(url: str) -> dict[tuple[str, ...], float]:
    """Every value by its name and its labels'."""
    status, text = get(url, "/metrics")
    assert status == 200
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_a_broker_serves_what_it_counts_and_whether_it_is_ready(tmp_path: Path) -> None:
    worker = Worker("text")
    release = tmp_path / "release"

    @worker.method
    def fail() -> None:
        raise ValueError

    @worker.method
    def wait(request: Request) -> None:
        until(release.exists, "released")

    with started("broker", "--bus", f"tcp://{FREE}", "--metrics", FREE, log=tmp_path / "log") as broker:
        ready = broker.line()
        url = ready["metrics"]
        with worker.running(ready["bus"]), Client(ready["bus"]) as client:
            with pytest.raises(HandlerFailed):
                client.call("text/fail")
            future = client.submit("text/wait", timeout=30)
            until(lambda: worker.stats().running, "the request runs")
            found = values(url)
            assert found["hoot_serving",] == 1
            assert found["hoot_service_requests_total", "text"] == 2
            assert found["hoot_service_in_flight", "text"] == 1
            assert found["hoot_service_errors_total", "handler_error", "text"] == 1
            assert found["hoot_service_reply_seconds_count", "text"] == 1
            assert found["hoot_service_reply_seconds_bucket", "+Inf", "text"] == 1
            assert found["hoot_service_wait_seconds_bucket", str(BOUNDS_S[0]), "text"] == 2
            assert found["hoot_limit_reached_total", "queue_messages"] == 0
            assert found["hoot_build_info", version("hootbus")] == 1
            if sys.platform == "linux":
                assert found["process_open_fds",] > 0
            assert get(url, "/livez") == (200, "alive\n")
            assert get(url, "/readyz") == (200, "serving\n")
            assert get(url, "/")[0] == 404
            broker.process.terminate()
            until(lambda: get(url, "/readyz") == (503, "draining\n"), "it drains")
            assert get(url, "/livez") == (200, "alive\n")
            assert values(url)["hoot_serving",] == 0
            release.touch()
            future.result()
            assert broker.process.wait(30) == 0


def test_a_loop_that_does_not_answer_is_not_alive(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(metrics_server, "ANSWER_S", 0.01)
    # It was never run.
    broker = Broker(parse_address(f"tcp://{FREE}"))
    with MetricsServer(broker, "127.0.0.1", 0) as server:
        for path in ("/livez", "/readyz", "/metrics"):
            assert get(server.url, path) == (503, "no answer\n")


def test_a_broker_that_has_ended_is_not_alive() -> None:
    broker = Broker(parse_address(f"tcp://{FREE}"))
    broker.run(on_ready=lambda _: broker.stop())
    with MetricsServer(broker, "127.0.0.1", 0) as server:
        assert get(server.url, "/livez") == (503, "no answer\n")


def test_more_connections_than_there_may_be_are_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_CONNECTIONS_MAX", 2)
    broker = Broker(parse_address(f"tcp://{FREE}"))
    with MetricsServer(broker, "127.0.0.1", 0) as server:
        port = int(server.url.split(":")[2].split("/")[0])
        connections = [socket.create_connection(("127.0.0.1", port), timeout=10) for _ in range(3)]
        try:
            # The first two say nothing and are waited for.
            assert connections[2].recv(1) == b""
            assert server.turned_away == 1
        finally:
            for connection in connections:
                connection.close()


def test_a_thread_that_cannot_be_started_takes_up_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_server, "_CONNECTIONS_MAX", 1)
    start = threading.Thread.start
    refused = [RuntimeError("can't start new thread")]

    def crowded(thread: threading.Thread) -> None:
        if refused and thread.name != "hoot-metrics":
            raise refused.pop()
        start(thread)

    broker = Broker(parse_address(f"tcp://{FREE}"))
    broker.run(on_ready=lambda _: broker.stop())
    monkeypatch.setattr(threading.Thread, "start", crowded)
    with MetricsServer(broker, "127.0.0.1", 0) as server:
        with pytest.raises((OSError, HTTPException)):
            get(server.url, "/livez")
        assert not refused
        assert get(server.url, "/livez") == (503, "no answer\n")


def test_metrics_for_other_machines_must_be_wanted() -> None:
    ran = run_here("broker", "--metrics", "0.0.0.0:0", bus="tcp://127.0.0.1:0")
    assert (ran.status, ran.out) == (1, "")
    assert "could read the metrics" in ran.err
    with MetricsServer(Broker(parse_address(f"tcp://{FREE}")), "0.0.0.0", 0, insecure=True) as server:
        assert server.url.startswith("http://0.0.0.0:")


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(CannotServe, match=rf"cannot serve metrics at 127\.0\.0\.1:{port}: "):
            MetricsServer(Broker(parse_address(f"tcp://{FREE}")), "127.0.0.1", port)


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delitem(sys.modules, metrics_server.__name__)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    ran = run_here("broker", "--bus", f"ipc://{tmp_path}", "--metrics", FREE)
    assert ran.status == 1
    assert ran.err == "cannot_serve: metrics need prometheus_client: pip install 'hootbus[metrics]'\n"
