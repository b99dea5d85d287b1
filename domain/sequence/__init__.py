"""Sequences: which series gives a number, and which one: a number is the version of its series."""

from .choice import NumberRequired, Place, place, place_in
from .events import EVENTS, NumberAssigned, SeriesOpened
from .frozen import FROZEN, Begun, begun, check_frozen
from .proof import Evidence, Fault, Proved, SeriesNotFound, prove
from .series import PASSED_MAX, Assigned, NumbersTaken, SeriesExhausted, assign, value_of

__all__ = [
    "EVENTS",
    "FROZEN",
    "PASSED_MAX",
    "Assigned",
    "Begun",
    "Evidence",
    "Fault",
    "NumberAssigned",
    "NumberRequired",
    "NumbersTaken",
    "Place",
    "Proved",
    "SeriesExhausted",
    "SeriesNotFound",
    "SeriesOpened",
    "assign",
    "begun",
    "check_frozen",
    "place",
    "place_in",
    "prove",
    "value_of",
]
