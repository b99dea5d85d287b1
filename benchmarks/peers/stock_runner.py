"""A peer: the eventsourcing library's projection runner as its documentation shows it."""

from __future__ import annotations

import os
import time
from typing import Any
from uuid import uuid4

from eventsourcing.persistence import Tracking
from eventsourcing.postgres import PostgresDatastore, PostgresTrackingRecorder
from eventsourcing.projection import Projection, ProjectionRunner
from psycopg.sql import SQL, Identifier

from ..invoice import request
from .rules import decided
from .stock import Invoices, environment

WAIT_SECONDS_MAX = 600.0


class ByOrder(PostgresTrackingRecorder):
    """Orders and their invoices: an upsert an event, in one transaction with the position."""

    def __init__(self, datastore: PostgresDatastore, **more: Any) -> None:
        super().__init__(datastore, **more)
        self.table = "invoices_by_order"
        schema, table = Identifier(self.datastore.schema), Identifier(self.table)
        self.sql_create_statements.append(
            SQL(
                "CREATE TABLE IF NOT EXISTS {}.{} (invoice_id uuid PRIMARY KEY, order_id text, lines integer)"
            ).format(schema, table)
        )
        self._begin = SQL("INSERT INTO {}.{} VALUES (%s, %s, 0)").format(schema, table)
        self._line = SQL("UPDATE {}.{} SET lines = lines + 1 WHERE invoice_id = %s").format(schema, table)

    def drafted(self, event: Any, tracking: Tracking) -> None:
        reference = event.header["header"].get("reference") or {}
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._begin, (event.originator_id, reference.get("id")))

    def line(self, event: Any, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)
            cursor.execute(self._line, (event.originator_id,))

    def nothing(self, tracking: Tracking) -> None:
        with self.datastore.transaction(commit=True) as cursor:
            self._insert_tracking(cursor, tracking)


class InvoicesByOrder(Projection[ByOrder]):
    name = "byorder"

    def process_event(self, domain_event: Any, tracking: Tracking) -> None:
        match type(domain_event).__name__:
            case "Drafted":
                self.view.drafted(domain_event, tracking)
            case "LineAdded":
                self.view.line(domain_event, tracking)
            case _:
                self.view.nothing(tracking)


def rate(dsn: str, invoices: int) -> float:
    """Events a second of the runner, from the beginning of a log of so many invoices."""
    told = {**os.environ, **environment(dsn)}
    application = Invoices(told)
    last = 0
    for _ in range(invoices):
        application.ingest(decided(request().invoice, uuid4()))
    last = application.recorder.max_notification_id() or 0
    application.close()
    began = time.monotonic()
    with ProjectionRunner(
        application_class=Invoices, projection_class=InvoicesByOrder, view_class=ByOrder, env=told
    ) as runner:
        runner.projection.view.wait(runner.app.name, last, timeout=WAIT_SECONDS_MAX)
    return last / (time.monotonic() - began)
