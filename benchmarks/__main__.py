"""Measure everything and print it: `make bench`, or a part: `make bench ARGS="charges polls --seconds 2"`."""

from __future__ import annotations

import argparse
import os
import platform
import time
from typing import Any

from benchmarks import charges, database, pages, polls, web, writers

SIZES = (10_000, 1_000_000)


def main() -> None:
    """One server for all parts, one part after the other."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="what to measure; everything if nothing")
    parser.add_argument("--rounds", type=int, default=3, help="medians of so many rounds (default 3)")
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="length of a round (default 5; 0: only to see it run)"
    )
    parser.add_argument("--customers", type=int, default=10_000, help="customers for charges, web and writers")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="generations for polls and pages")
    arguments = parser.parse_args()
    begun = time.monotonic()
    with database.server() as server:
        load = os.getloadavg()[0]
        print(f"{os.cpu_count()} cores, load {load:.1f} before the start; PostgreSQL {server.version}, fsync on;")
        print(
            f"Python {platform.python_version()}; medians of {arguments.rounds} rounds of {arguments.seconds:g} s"
        )
        for name in arguments.parts or PARTS:
            print(flush=True)
            PARTS[name](server, arguments)
    print(f"\n{time.monotonic() - begun:.0f} seconds in all")


def show_charges(server: database.Server, arguments: argparse.Namespace) -> None:
    """Charges in SQL."""
    print("Charges per second in SQL (pgbench, prepared): the product's function beside the shortest statement")
    measured = charges.measure(server, **_rounds(arguments))
    for clients, (ours, shortest) in measured.items():
        print(f"  {clients} at a time: {ours:,.0f} beside {shortest:,.0f}", end="")
        _verdict(shortest / ours, 1.5, "{:.2f} times as long")


def show_web(server: database.Server, arguments: argparse.Namespace) -> None:
    """Charges and callbacks through HTTP."""
    print(f"Through HTTP (granian, 2 processes of 8 threads; {web.CONNECTIONS} connections)")
    measured = web.measure(server, **_rounds(arguments))
    print(
        f"  charges per second: {measured.charges:,.0f} beside {measured.orm:,.0f} by the ORM's unit of work",
        end="",
    )
    _verdict(measured.charges / measured.orm, 2.0, "{:.2f} times as many", at_least=True)
    print(f"  signed callbacks per second, each settling a generation: {measured.callbacks:,.0f}")
    if measured.unexpected:
        print(f"  {measured.unexpected} answers were not what they should be")


def show_polls(server: database.Server, arguments: argparse.Namespace) -> None:
    """The dashboard."""
    print("Milliseconds of database time for one dashboard poll (EXPLAIN ANALYZE, planning included)")
    for size in arguments.sizes:
        measured = polls.measure(server, size, rounds=5 * arguments.rounds)
        print(f"  {size:,} generations: {measured.folded:.1f}", end="")
        _verdict(measured.folded, 5.0, "")
        print(f"    with {polls.TAIL:,} events not yet folded: {measured.tail:.1f}", end="")
        _verdict(measured.tail, 5.0, "")
        print(f"    the same figures from the raw rows: {measured.raw:,.1f}", end="")
        print(f"; with an index on each time: {measured.raw_indexed:,.1f}")


def show_pages(server: database.Server, arguments: argparse.Namespace) -> None:
    """Every page, the slowest first."""
    size = max(arguments.sizes)
    print(f"Milliseconds of server time for each page of the console at {size:,} generations of {pages.DAYS} days")
    for page in pages.measure(server, size, rounds=arguments.rounds):
        print(f"  {page.path}: {page.milliseconds:.0f}", end="")
        _verdict(page.milliseconds, 100.0, "")


def show_writers(server: database.Server, arguments: argparse.Namespace) -> None:
    """What the figures cost."""
    print(f"Cycles of charge and settle per second in SQL, {writers.CLIENTS} clients")
    measured = writers.measure(server, **_rounds(arguments, least=writers.FOLD_SECONDS + 1))
    print(f"  without events: {measured.bare:,.0f}")
    print(f"  with events, nobody folds: {measured.events:,.0f}")
    print(f"  with a fold every {writers.FOLD_SECONDS:g} s and a poll every {writers.POLL_SECONDS:g} s: ", end="")
    print(f"{measured.folded:,.0f}", end="")
    _verdict(1 - measured.folded / measured.bare, 0.15, "{:.0%} slower than without events")
    print(f"  such a poll took {measured.poll:.0f} ms by the clock, Python included, on the busy machine")


def _rounds(arguments: argparse.Namespace, *, least: float = 0.0) -> dict[str, Any]:
    """How many, how long and with how many customers. They are `least` seconds long, unless they last no time."""
    seconds = arguments.seconds and max(least, arguments.seconds)
    return {"rounds": arguments.rounds, "seconds": seconds, "customers": arguments.customers}


def _verdict(value: float, target: float, words: str, *, at_least: bool = False) -> None:
    """What was reached beside what is to be reached."""
    reached = value >= target if at_least else value <= target
    shown = f"{target:.0%}" if target < 1 else f"{target:g}"
    text = f": {words.format(value)}" if words else ""
    bound = "at least" if at_least else "at most"
    print(f"{text} ({bound} {shown}: {'reached' if reached else 'MISSED'})")


PARTS = {
    "charges": show_charges,
    "web": show_web,
    "polls": show_polls,
    "pages": show_pages,
    "writers": show_writers,
}

if __name__ == "__main__":
    main()
