"""Jobs that come at once run at once, as long as there are threads for them."""

import threading

from hootbus.workers.threads import Threads

TIMEOUT_S = 10.0


def test_a_job_does_not_wait_behind_another_that_came_with_it() -> None:
    threads = Threads(3, "test")
    release = threading.Event()

    def wait() -> None:
        release.wait(TIMEOUT_S)

    # Several times, as the thread of the first job has to have come to rest when the next two arrive.
    for _ in range(50):
        rested, begun = threading.Event(), threading.Event()
        threads.run(rested.set)
        assert rested.wait(TIMEOUT_S)
        release.clear()
        threads.run(wait)
        threads.run(begun.set)
        assert begun.wait(TIMEOUT_S)
        release.set()
    assert threads.close(TIMEOUT_S)


def test_jobs_beyond_the_threads_wait_for_one_and_no_more_threads_are_made() -> None:
    threads = Threads(2, "test")
    release, done = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        release.wait(TIMEOUT_S)
        done.release()

    for _ in range(5):
        threads.run(job)
    assert len(threads) == 2
    release.set()
    assert all(done.acquire(timeout=TIMEOUT_S) for _ in range(5))
    threads.run(done.release)
    assert done.acquire(timeout=TIMEOUT_S)
    assert len(threads) == 2
    assert threads.close(TIMEOUT_S)
