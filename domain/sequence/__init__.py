"""Sequences: which series gives a number, and which one: a number is the version of its series."""

from .choice import NumberRequired, Place, PolicyUnknown, place, place_in, policy_named
from .events import EVENTS, NumberAssigned, SeriesOpened
from .frozen import FROZEN, Begun, begun, check_frozen
from .series import PASSED_MAX, Assigned, NumbersTaken, SeriesExhausted, assign, value_of

__all__ = [
    "EVENTS",
    "FROZEN",
    "PASSED_MAX",
    "Assigned",
    "Begun",
    "NumberAssigned",
    "NumberRequired",
    "NumbersTaken",
    "Place",
    "PolicyUnknown",
    "SeriesExhausted",
    "SeriesOpened",
    "assign",
    "begun",
    "check_frozen",
    "place",
    "place_in",
    "policy_named",
    "value_of",
]
