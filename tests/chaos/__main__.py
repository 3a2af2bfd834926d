"""`make chaos`: one storm after the other, each of the next seed, for as long as asked. Says which seed has failed."""

import argparse
import secrets
import sys
import time
from typing import Final

from benchmarks.processes import ProcessFailed
from chaos.storm import storm

_FAULTS: Final = 15


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=5.0, help="how long (%(default)s)")
    parser.add_argument("--seed", type=int, help="of the first storm; even: on ipc, odd: on tcp (at random)")
    parser.add_argument("--storms", type=int, help="so many, however long they take")
    parser.add_argument("--faults", type=int, default=_FAULTS, help="in each storm (%(default)s)")
    asked = parser.parse_args()
    first = seed = secrets.randbelow(1_000_000) if asked.seed is None else asked.seed
    until = time.monotonic() + asked.minutes * 60
    requests = 0
    while seed - first < asked.storms if asked.storms is not None else time.monotonic() < until:
        print(f"seed {seed}", flush=True)
        try:
            sums = storm(seed, asked.faults, lambda line: print(line, flush=True))
        except (AssertionError, ProcessFailed) as error:
            print(error)
            print(f"FAILED: make chaos ARGS='--seed {seed} --storms 1 --faults {asked.faults}'")
            return 1
        print(f"  {sums}", flush=True)
        requests += sums.asked
        seed += 1
    print(f"{seed - first} storms, {requests} requests: every ledger balances")
    return 0


if __name__ == "__main__":
    sys.exit(main())
