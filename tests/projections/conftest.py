"""Every test of the read models has a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.postgres import Database, database, postgres

from .book import Book, open_book

__all__ = ["database", "postgres"]


@pytest.fixture
async def book(database: Database) -> AsyncIterator[Book]:
    async with open_book(database) as book:
        yield book
