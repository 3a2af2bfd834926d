"""The threads that plain `def` handlers run on."""

import queue
import threading
import time
from collections.abc import Callable


class Threads:
    """Up to `size` daemon threads that take jobs in order. A job must not raise.

    Not concurrent.futures': its threads are waited for when the interpreter ends, so one handler that never returns
    would keep a stopped worker alive for ever; and a future per job costs more than the thread's own switch.
    """

    def __init__(self, size: int, name: str) -> None:
        self._size = size
        self._name = name
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        # Threads that wait for a job, less the jobs that wait for a thread. Counted when a job is put, not when a
        # thread has got to it: else several jobs that come at once would all count on the one thread that is idle.
        self._spare = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        """How many have been started."""
        return len(self._threads)

    def run(self, job: Callable[[], None]) -> None:
        """Has the next free thread run it."""
        self._jobs.put(job)
        with self._lock:
            self._spare -= 1
            if self._spare >= 0 or len(self._threads) >= self._size:
                return
            self._spare += 1
            name = f"{self._name}-{len(self._threads)}"
            thread = threading.Thread(target=self._work, name=name, daemon=True)
            self._threads.append(thread)
        thread.start()

    def close(self, timeout: float) -> bool:
        """Ends the threads once they are done with their jobs.

        Waits for all of them together at most `timeout` seconds; whether they had ended by then.
        """
        for _ in self._threads:
            self._jobs.put(None)
        until = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
            del job
            with self._lock:
                self._spare += 1
