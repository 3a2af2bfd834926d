"""A broker in a process of its own, for tests that look at its memory, threads and descriptors from outside.

`python serve.py ADDRESS [NAME=ENDPOINT…]` writes its address, serves, and stops when its standard input ends.
"""

import sys
import threading

from hootbus.bus.broker import Broker
from hootbus.bus.dialout import parse_dial_out
from hootbus.frames.address import BusAddress, parse_address


def main() -> None:
    def say(address: BusAddress) -> None:
        print(address.text, flush=True)

    def stop_with_input() -> None:
        sys.stdin.read()
        broker.stop()

    connect = tuple(map(parse_dial_out, sys.argv[2:]))
    broker = Broker(parse_address(sys.argv[1]), connect=connect, hootenanny_events="tcp://127.0.0.1:*")
    threading.Thread(target=stop_with_input, daemon=True).start()
    broker.run(on_ready=say)


if __name__ == "__main__":
    main()
