"""`python -m simulator simulated:8900 kling:8901`: simulated providers as a process of their own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from simulator.dialects import DIALECTS
from simulator.several import PortTaken, several


def main() -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status. Keys come from SIMULATED_API_KEY and so on."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("providers", nargs="+", type=_address, metavar="NAME:PORT", help="port 0 takes a free one")
    parser.add_argument("--seed", type=int, help="makes chance repeat itself")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every duration")
    parser.add_argument("--late-seconds", type=float, default=180.0, help="how late a late callback is")
    options = parser.parse_args()
    if not options.speed > 0:
        parser.error("--speed must be above 0")
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    more = {"seed": options.seed, "speed": options.speed, "late_seconds": options.late_seconds}
    try:
        with several(dict(options.providers), os.environ, **more) as running:
            for simulator in running:
                sys.stdout.write(f"{simulator.name} at {simulator.base_url}\n")
            sys.stdout.flush()
            done.wait()
    except PortTaken as error:
        sys.stderr.write(f"{error}. Choose another port.\n")
        return 1
    return 0


def _address(text: str) -> tuple[str, int]:
    name, _, port = text.partition(":")
    if name not in DIALECTS:
        raise argparse.ArgumentTypeError(f"there is no provider {name!r}; there are {', '.join(DIALECTS)}")
    if not (port.isascii() and port.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} must look like simulated:8900")
    return name, int(port)


if __name__ == "__main__":
    sys.exit(main())
