"""`python -m simulator`: the simulated provider as a process of its own."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading

from simulator.server import start


def main() -> int:
    """Run until SIGINT or SIGTERM. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m simulator", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8900, help="0 takes a free one")
    parser.add_argument("--api-key", help="else SIMULATED_API_KEY, which no process list shows")
    parser.add_argument("--webhook-secret", help="else SIMULATED_WEBHOOK_SECRET")
    parser.add_argument("--seed", type=int, help="makes chance repeat itself")
    parser.add_argument("--speed", type=float, default=1.0, help="divides every duration")
    parser.add_argument("--late-seconds", type=float, default=180.0, help="how late a late callback is")
    options = parser.parse_args()
    api_key = options.api_key or os.environ.get("SIMULATED_API_KEY")
    secret = options.webhook_secret or os.environ.get("SIMULATED_WEBHOOK_SECRET")
    if not api_key or not secret:
        parser.error("an API key and a webhook secret are needed, as options or in the environment")
    if options.speed <= 0:
        parser.error("--speed must be above 0")
    done = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: done.set())
    try:
        simulator = start(
            options.port,
            host=options.host,
            api_key=api_key,
            webhook_secret=secret,
            seed=options.seed,
            speed=options.speed,
            late_seconds=options.late_seconds,
        )
    except (OSError, OverflowError) as error:
        sys.stderr.write(f"Cannot listen on {options.host}:{options.port}: {error}. Choose another --port.\n")
        return 1
    with simulator:
        sys.stdout.write(f"simulated provider at {simulator.base_url}\n")
        sys.stdout.flush()
        done.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
