"""Generations: charge, submit, settle or fail. See `reservation`, `submission` and `ending`."""

from makegood.generations.ending import Ended, cancel, fail, settle
from makegood.generations.reservation import NewGeneration, Reservation, reserve
from makegood.generations.submission import Lost, Refusal, dispatch, record_found, record_submit
from makegood.generations.timeline import get

__all__ = [
    "Ended",
    "Lost",
    "NewGeneration",
    "Refusal",
    "Reservation",
    "cancel",
    "dispatch",
    "fail",
    "get",
    "record_found",
    "record_submit",
    "reserve",
    "settle",
]
