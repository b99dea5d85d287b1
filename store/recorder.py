"""The library's recorder on our table, for its tools and its contract; appends take the same turn as ours."""

from __future__ import annotations

from eventsourcing.postgres import PostgresApplicationRecorder, PostgresDatastore
from psycopg import Cursor, conninfo
from psycopg.rows import DictRow

from .statements import TURN

TABLE, SCHEMA, CHANNEL = "events", "daybook", "daybook"
LOCK_SECONDS_MAX = 5


class Recorder(PostgresApplicationRecorder):
    """Reads and appends what the log holds. It makes no tables and uses no functions in the database."""

    def __init__(self, dsn: str) -> None:
        told = conninfo.conninfo_to_dict(dsn)
        super().__init__(
            PostgresDatastore(
                dbname=str(told.get("dbname", "")),
                host=str(told.get("host", "")),
                port=str(told.get("port", "")),
                user=str(told.get("user", "")),
                password=str(told.get("password", "")),
                schema=SCHEMA,
                lock_timeout=LOCK_SECONDS_MAX,
                enable_db_functions=False,
            ),
            events_table_name=TABLE,
        )
        self.channel_name = CHANNEL

    def create_table(self) -> None:
        """Tables come from migrations."""

    def close(self) -> None:
        self.datastore.close()

    def _lock_table(self, curs: Cursor[DictRow]) -> None:
        curs.execute(f"SET LOCAL lock_timeout = '{LOCK_SECONDS_MAX}s'")
        curs.execute(TURN.sql.encode())
