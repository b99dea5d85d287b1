"""A log with seals, as the tests of the proof want it."""

from tests.postgres import database, postgres

__all__ = ["database", "postgres"]
