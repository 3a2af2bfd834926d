"""What the sessions of clients and workers keep, held against each other as the core's indexes are."""

from bus_world.indexes import agree, check_deadlines, within
from hootbus.workers.client_session import ClientSession
from hootbus.workers.limits import Limits
from hootbus.workers.pending import Pending, Stage
from hootbus.workers.worker_session import WorkerSession


def check_client(client: ClientSession, limits: Limits) -> None:
    """Raises AssertionError if its tables disagree, or hold more than they may."""
    pending = client._pending
    agree("ids", [each.call.request_id for each in pending.values()], [*pending])
    agree("bytes of requests", client.pending_bytes, sum(each.size for each in pending.values()))
    questions = {each.version: each for each in pending.values() if each.version is not None}
    agree("questions whether a version is understood", client._understanding.questions, questions)
    for question in questions.values():
        waiting = question.waiting
        agree("ids of who waits for a comparison", [each.call.request_id for each in waiting.values()], [*waiting])
    asking = {request_id for question in questions.values() for request_id in question.waiting}
    compared = {request_id for request_id, each in pending.items() if each.stage is Stage.COMPARED}
    agree("who waits for comparisons", asking, compared)
    paused = [each.call.request_id for each in pending.values() if each.stage is Stage.PAUSED]
    check_deadlines("the client", client._deadlines, len(pending))
    check_deadlines("the client's pauses", client._pauses, len(paused))
    looked = [each for each in pending.values() if each.inflow is not None and each.inflow.look_at is not None]
    check_deadlines("the client's streams", client._inflows.looks, len(looked))
    for request_id, each in pending.items():
        agree("a request's deadline", client._deadlines.holds(request_id, each.deadline), True)
        _check_stream(client, request_id, each)
        within("tries", each.retries, limits.retries)
        within("comparisons", each.comparisons, limits.comparisons)
    within("requests", len(pending) - len(questions), limits.requests)
    if len(client) > 1:
        within("bytes of requests", client.pending_bytes, limits.request_bytes)


def _check_stream(client: ClientSession, request_id: bytes, pending: Pending) -> None:
    inflow = pending.inflow
    if inflow is None:
        return
    within("items of a stream that were read", inflow.taken, inflow.arrived)
    within("items of a stream", inflow.arrived, inflow.granted)
    if inflow.look_at is not None:
        agree("when a stream is looked at", client._inflows.looks.holds(request_id, inflow.look_at), True)


def check_client_idle(client: ClientSession) -> None:
    """Raises AssertionError if it keeps anything though it has nothing to do."""
    agree("requests of an idle client", [*client._pending], [])
    check_deadlines("an idle client", client._deadlines, 0)
    check_deadlines("an idle client's pauses", client._pauses, 0)
    check_deadlines("an idle client's streams", client._inflows.looks, 0)
    agree("questions of an idle client", client._understanding.questions, {})
    agree("bytes of an idle client", client.pending_bytes, 0)


def check_worker(worker: WorkerSession) -> None:
    """Raises AssertionError if its tables disagree, or hold more than they may."""
    running = worker._running
    agree("ids", [each.message.request_id for each in running.values()], [*running])
    within("handlers", len(running), worker._slots)
    if worker._closed:
        return
    timed = {request_id: each.deadline for request_id, each in running.items() if each.deadline is not None}
    check_deadlines("the worker", worker._deadlines, len(timed))
    for request_id, deadline in timed.items():
        agree("a handler's deadline", worker._deadlines.holds(request_id, deadline), True)
