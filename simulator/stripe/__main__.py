"""`python -m simulator.stripe`: a simulated Stripe as a process, until SIGINT or SIGTERM.

STRIPE_API_KEY and STRIPE_WEBHOOK_SECRET, which no process list shows, are the key that may read and what the
deliveries are signed with.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Sequence
from pathlib import Path

from simulator.stripe import keeping
from simulator.stripe.billing import Account
from simulator.stripe.deliveries import SECRET
from simulator.stripe.live import Live
from simulator.stripe.server import API_KEY, start


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m simulator.stripe", description="A simulated Stripe.")
    parser.add_argument("--port", type=int, default=8910)
    parser.add_argument("--account", type=Path, required=True, help="the file that keeps the account")
    parser.add_argument("--webhooks", required=True, help="where events are delivered")
    options = parser.parse_args(arguments)
    account = keeping.load(options.account.read_text()) if options.account.exists() else Account()
    secret = os.environ.get("STRIPE_WEBHOOK_SECRET") or SECRET
    live = Live(account, options.account, options.webhooks, [secret])
    ended = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ended)  # before threads begin, so that they inherit it
    with start(account, options.port, api_key=os.environ.get("STRIPE_API_KEY") or API_KEY):
        live.start()
        signal.sigwait(ended)
        live.stop()


if __name__ == "__main__":
    main()
