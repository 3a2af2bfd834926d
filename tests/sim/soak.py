"""`make soak`: worlds without end, on all processors. What fails is written down, and how to see it again."""

import argparse
import os
import random
import sys
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Final

from sim.violation import Violation
from sim.world import play

_PORTION: Final = 25
_FINDINGS_MAX: Final = 10
_FOLDER: Final = Path(".soak")


def run(seeds: range) -> list[tuple[int, str]]:
    """A child's work: what was found, by seed."""
    found = []
    for seed in seeds:
        try:
            play(seed)
        except Violation as violation:
            found.append((seed, str(violation)))
    return found


def soak(first: int, until: float, jobs: int) -> Iterator[tuple[int, list[tuple[int, str]]]]:
    """Portion by portion, how many worlds there were in it and what was found."""
    with ProcessPoolExecutor(jobs) as pool:
        at, running = first, set[Future[list[tuple[int, str]]]]()
        while running or time.monotonic() < until:
            while len(running) < jobs and time.monotonic() < until:
                running.add(pool.submit(run, range(at, at + _PORTION)))
                at += _PORTION
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for each in done:
                yield _PORTION, each.result()


def _write_down(seed: int, story: str) -> Path:
    _FOLDER.mkdir(exist_ok=True)
    path = _FOLDER / f"seed-{seed}.txt"
    path.write_text(story + "\n")
    return path


def main() -> int:
    parser = argparse.ArgumentParser(prog="make soak", description="Simulated storms, until told to stop.")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="how long (until Ctrl-C)")
    parser.add_argument("--first", type=int, default=None, help="the first seed (some other one each time)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (all processors)")
    asked = parser.parse_args()
    # Far from those that make check runs.
    first = random.SystemRandom().randrange(10**6, 10**12) if asked.first is None else asked.first
    print(f"worlds from seed {first} on, in {asked.jobs} processes")
    started, worlds, found = time.monotonic(), 0, 0
    try:
        for count, findings in soak(first, started + asked.minutes * 60, asked.jobs):
            worlds += count
            for seed, story in findings:
                path = _write_down(seed, story)
                print(f"\n\nseed {seed}: {story.splitlines()[0]}\n  its story is in {path}, and again with:")
                print(f"  .venv/bin/python -m pytest tests/sim -k promise --sim-seed {seed}", flush=True)
            found += len(findings)
            seconds = time.monotonic() - started
            text = f"{worlds} worlds in {seconds / 60:.1f} min, {worlds / seconds:.0f} a second, {found} found"
            print(f"\r{text}", end="", flush=True)
            if found >= _FINDINGS_MAX:
                print("\nenough found for once", end="")
                break
    except KeyboardInterrupt:
        print("\nstopped", end="")
    print()
    if found:
        print("add what you have understood to tests/sim/seeds.txt: those seeds run in every make check")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
