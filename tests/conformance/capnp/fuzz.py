"""Hostile bytes by the million: `make fuzz`. Child processes do the work: one that dies is a finding, not the end.

A case is a number: with the seed it makes the same bytes every time. A child says a line before each case, so what it
died over is known.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Final

from conformance.capnp.corpus import every_message, struct_type
from conformance.capnp.mutations import mutated
from hootbus.schemas import StructType
from hootbus.schemas.layout import layout_of

Judge = Callable[[bytes, StructType], object]
"""What is done with each message. It raises whatever it likes if something is wrong."""

PROBE: Final = "conformance.capnp.probe:probe"
AGREE: Final = "conformance.capnp.agreement:agree"

CHUNK: Final = 2500
# A child that takes more is at fault; the largest honest one takes a tenth of it.
CHILD_BYTES_MAX: Final = 4 << 30
# Nothing is timed but this: a chunk takes seconds.
CHUNK_SECONDS_MAX: Final = 600.0
FINDINGS_MAX: Final = 20

Finding = tuple[int, str]
"""The case, and what was wrong with it."""


def case(seed: int, number: int) -> tuple[StructType, bytes]:
    """The struct and the mutated message of this number."""
    random = Random(f"{seed}:{number}")
    name, message = random.choice(every_message())
    # A peer with an older or a newer schema.
    name = random.choice((name, name, name, {"Before": "After", "After": "Before"}.get(name, name)))
    return struct_type(name), mutated(random, message)


def judge_all(judge_name: str, seed: int, numbers: range) -> None:
    """A child's work: it says an empty line when it begins with a case, and in another what was found wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (CHILD_BYTES_MAX, CHILD_BYTES_MAX))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    module, _, name = judge_name.partition(":")
    judge: Judge = getattr(import_module(module), name)
    for number in numbers:
        os.write(1, b"\n")
        struct_type, body = case(seed, number)
        try:
            judge(body, struct_type)
        except Exception:  # noqa: BLE001  # whatever it is, it is what is looked for
            os.write(1, json.dumps(traceback.format_exc()).encode() + b"\n")


def hunt(judge_name: str, seed: int, count: int, jobs: int, first: int = 0) -> Iterator[tuple[range, list[Finding]]]:
    """Chunk by chunk, what was found in it."""
    end = first + count
    chunks = [range(at, min(at + CHUNK, end)) for at in range(first, end, CHUNK)]
    with ThreadPoolExecutor(jobs) as pool:
        waiting = [(chunk, pool.submit(_judged, judge_name, seed, chunk)) for chunk in chunks]
        try:
            for chunk, found in waiting:
                yield chunk, found.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _judged(judge_name: str, seed: int, numbers: range) -> list[Finding]:
    """Every case judged: behind one that a child died of, another child goes on."""
    findings: list[Finding] = []
    while numbers:
        at = numbers.start - 1
        said, end = _child(judge_name, seed, numbers)
        for line in said.splitlines():
            if line:
                findings.append((at, json.loads(line)))
            else:
                at += 1
        if not end:
            break
        findings.append((at, end))
        numbers = range(at + 1, numbers.stop)
    return findings


def _child(judge_name: str, seed: int, numbers: range) -> tuple[str, str]:
    """What a child said, and how it died, empty if it did not."""
    command = [sys.executable, "-P", "-m", "conformance.capnp.fuzz", "--child", judge_name, "--seed", str(seed)]
    command += ["--first", str(numbers.start), "--count", str(len(numbers))]
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    try:
        done = subprocess.run(command, capture_output=True, env=environment, timeout=CHUNK_SECONDS_MAX, check=False)
    except subprocess.TimeoutExpired as expired:
        return (expired.stdout or b"").decode(), f"no end of it within {CHUNK_SECONDS_MAX:.0f} s for its chunk"
    if done.returncode == 0:
        return done.stdout.decode(), ""
    return done.stdout.decode(), f"the process died, status {done.returncode}: {done.stderr.decode(errors='replace')}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz", description="Mutated Cap'n Proto messages, read in every way.")
    parser.add_argument("--count", type=int, default=1_000_000, help="how many cases (1 000 000)")
    parser.add_argument("--first", type=int, default=0, help="the number of the first one")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="another seed, other cases (the time)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (all processors)")
    parser.add_argument("--agree", action="store_true", help="compare with pycapnp's judgement, which may die, instead")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.child:
        judge_all(asked.child, asked.seed, range(asked.first, asked.first + asked.count))
        return 0
    print(
        f"{asked.count} cases from {asked.first} on, seed {asked.seed}, {len(every_message())} messages to begin with"
    )
    started, found = time.monotonic(), 0
    for chunk, findings in hunt(AGREE if asked.agree else PROBE, asked.seed, asked.count, asked.jobs, asked.first):
        for number, text in findings:
            struct_type, body = case(asked.seed, number)
            again = f"--seed {asked.seed} --first {number} --count 1"
            print(f"\ncase {number} ({again}), {layout_of(struct_type)}: {body.hex()}")
            print(text, flush=True)
        found += len(findings)
        done = chunk.stop - asked.first
        pace = done / (time.monotonic() - started)
        print(f"\r{done} of {asked.count}, {pace:.0f} a second, {found} found", end="", flush=True)
        if found >= FINDINGS_MAX:
            print("\nenough found for once", end="")
            break
    print()
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
