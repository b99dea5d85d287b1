"""A program of another team: works the feed off into a database of its own, as slowly as it likes."""

from __future__ import annotations

import sqlite3
import sys
import time

from daybook.client import connect
from daybook.feed import Batch, consume

TABLE = (
    "CREATE TABLE IF NOT EXISTS happened (at INTEGER PRIMARY KEY, stream TEXT, version INTEGER, type TEXT)"
)


def write(cursor: sqlite3.Cursor, batch: Batch) -> None:
    """Every event once: a second time would be against the primary key."""
    for event in batch.events:
        at = int(event.position.rpartition(".")[2])
        row = (at, event.stream_id, event.version, event.type)
        cursor.execute("INSERT INTO happened VALUES (?, ?, ?, ?)", row)


def main(target: str, file: str, slowness: float) -> None:
    mine = sqlite3.connect(file)
    mine.execute(TABLE)
    mine.commit()

    def slowly(cursor: sqlite3.Cursor, batch: Batch) -> None:
        write(cursor, batch)
        time.sleep(slowness)

    with connect(target) as channel:
        consume(channel, mine, slowly, name="all")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
