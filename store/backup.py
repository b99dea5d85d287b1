"""Backups of the log: one file, made while the service runs; restored into an empty book, and checked.

The file is a ZIP of `events.copy`, `personal.copy` and `seals.copy` (PostgreSQL's binary COPY) and a
`manifest.json` that says what they hold. Read models are not in it: they follow from the log.
"""

from __future__ import annotations

import hashlib
import json
import time
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from .log import Unavailable

FORMAT = "daybook-backup-1"
CONNECT_SECONDS_MAX = 10
CHUNK_BYTES = 1 << 20
FIRST_EPOCHS = datetime(2026, 1, 1, tzinfo=UTC)  # epochs of restores count seconds since: no two are the same

Connection = psycopg.AsyncConnection[tuple[Any, ...]]

ONE_MOMENT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"
WHAT = """
SELECT log_id, epoch, (SELECT count(*) FROM daybook.events), (SELECT count(*) FROM daybook.personal),
    (SELECT coalesce(max(notification_id), 0) FROM daybook.events)
FROM daybook.identity
"""
MIGRATIONS = "SELECT name, checksum FROM daybook.migrations ORDER BY number"
COLUMNS = {
    "events": "originator_id, originator_version, topic, state, notification_id",
    "personal": "stream, version, salt, body",
    "seals": "number, last, statement, signature, countersignature, leaves, places",
}
ORDER = {"events": "notification_id", "personal": "stream, version", "seals": "number"}

# What a log must be: versions without gaps from 1, and every event naming the digest of the one before.
GAPS = """
SELECT originator_id FROM daybook.events GROUP BY originator_id
HAVING min(originator_version) <> 1 OR max(originator_version) <> count(*) LIMIT 1
"""
BROKEN = """
SELECT originator_id, originator_version FROM (
    SELECT originator_id, originator_version,
        convert_from(state, 'UTF8')::json -> 'meta' ->> 'prev' AS said,
        lag(daybook.digest(originator_id, originator_version, topic, state))
            OVER (PARTITION BY originator_id ORDER BY originator_version) AS prev
    FROM daybook.events
) AS chained
WHERE coalesce(said, '') <> coalesce(prev, '') LIMIT 1
"""


class BadBackup(Exception):
    """A file is no backup that can be restored here; the text says why."""


class NotEmpty(Exception):
    """A log is only ever restored into an empty one."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup holds. `sha256` is of the parts, uncompressed."""

    format: str
    made: str
    log_id: str
    epoch: int
    events: int
    personal: int
    position: int
    migrations: Mapping[str, str]
    sha256: Mapping[str, str]


async def backup(dsn: str, file: Path) -> Manifest:
    """Write what the log holds at one moment; appends go on meanwhile. A half-made file is never left."""
    partial = file.with_name(file.name + ".partial")
    try:
        async with _connection(dsn) as connection, connection.transaction():
            await connection.execute(ONE_MOMENT)
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=3) as archive:
                manifest = await _write(connection, archive)
        partial.rename(file)
    finally:
        partial.unlink(missing_ok=True)
    return manifest


async def _write(connection: Connection, archive: zipfile.ZipFile) -> Manifest:
    log_id, epoch, events, personal, position = await _one(connection, WHAT)
    cursor = await connection.execute(MIGRATIONS)
    migrations: dict[str, str] = dict(await cursor.fetchall())
    digests = {table: await _copy_out(connection, archive, table) for table in COLUMNS}
    made = datetime.now(UTC).isoformat(timespec="seconds")
    manifest = Manifest(FORMAT, made, str(log_id), epoch, events, personal, position, migrations, digests)
    archive.writestr("manifest.json", json.dumps(asdict(manifest), indent=2))
    return manifest


async def _copy_out(connection: Connection, archive: zipfile.ZipFile, table: str) -> str:
    rows = f"SELECT {COLUMNS[table]} FROM daybook.{table} ORDER BY {ORDER[table]}"
    query = f"COPY ({rows}) TO STDOUT (FORMAT binary)"
    digest = hashlib.sha256()
    async with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
        with archive.open(f"{table}.copy", "w", force_zip64=True) as part:
            async for block in copy:
                digest.update(block)
                part.write(block)
    return digest.hexdigest()


async def restore(dsn: str, file: Path) -> Manifest:
    """Put a backup into an empty log, as its owner, and start a new epoch: positions of before are refused.

    All of it is checked before it is committed. Raises BadBackup, NotEmpty or Unavailable.
    """
    try:
        with zipfile.ZipFile(file) as archive:
            manifest = _manifest(archive)
            async with _connection(dsn) as connection, connection.transaction():
                await _restore(connection, archive, manifest)
    except (zipfile.BadZipFile, KeyError, EOFError) as fault:
        raise BadBackup(f"{file} is not a whole backup: {fault}") from fault
    return manifest


def _manifest(archive: zipfile.ZipFile) -> Manifest:
    try:
        manifest = Manifest(**json.loads(archive.read("manifest.json")))
    except (TypeError, ValueError) as fault:
        raise BadBackup(f"its manifest cannot be read: {fault}") from fault
    if manifest.format != FORMAT:
        raise BadBackup(f"its format is {manifest.format}, not {FORMAT}")
    return manifest


async def _restore(connection: Connection, archive: zipfile.ZipFile, manifest: Manifest) -> None:
    await connection.execute("LOCK TABLE daybook.identity IN EXCLUSIVE MODE")
    _, _, events, personal, _ = await _one(connection, WHAT)
    if events or personal:
        raise NotEmpty(f"the log has {events} events already; restore into an empty one")
    cursor = await connection.execute(MIGRATIONS)
    known: dict[str, str] = dict(await cursor.fetchall())
    if strange := [name for name, checksum in manifest.migrations.items() if known.get(name) != checksum]:
        raise BadBackup(f"it was made by another version: {', '.join(strange)} is not known here")
    for table in [table for table in COLUMNS if table in manifest.sha256]:  # older ones have no seals
        await _copy_in(connection, archive, table, manifest.sha256[table])
    await _check(connection, manifest)
    epoch = max(manifest.epoch + 1, int(time.time() - FIRST_EPOCHS.timestamp()))
    await connection.execute(
        "UPDATE daybook.identity SET log_id = %s, epoch = %s", (UUID(manifest.log_id), epoch)
    )
    await connection.execute(
        "SELECT setval('daybook.events_notification_id_seq', greatest(%s, 1), %s)",
        (manifest.position, manifest.position > 0),
    )


async def _copy_in(connection: Connection, archive: zipfile.ZipFile, table: str, sha256: str) -> None:
    query = f"COPY daybook.{table} ({COLUMNS[table]}) FROM STDIN (FORMAT binary)"
    digest = hashlib.sha256()
    try:
        async with connection.cursor() as cursor, cursor.copy(query.encode()) as copy:
            with archive.open(f"{table}.copy") as part:
                while block := part.read(CHUNK_BYTES):
                    digest.update(block)
                    await copy.write(block)
    except psycopg.DataError as fault:
        raise BadBackup(f"{table}.copy cannot be read: {fault}") from fault
    if digest.hexdigest() != sha256:
        raise BadBackup(f"{table}.copy is not what the manifest says")


async def _check(connection: Connection, manifest: Manifest) -> None:
    _, _, events, personal, position = await _one(connection, WHAT)
    if (events, personal, position) != (manifest.events, manifest.personal, manifest.position):
        raise BadBackup("it does not hold what its manifest says")
    for query, fault in (
        (GAPS, "a stream has a gap"),
        (BROKEN, "an event does not follow the one before it"),
    ):
        cursor = await connection.execute(query.encode())
        if found := await cursor.fetchone():
            raise BadBackup(f"{fault}: {' version '.join(map(str, found))}")


async def _one(connection: Connection, query: str) -> tuple[Any, ...]:
    cursor = await connection.execute(query.encode())
    row = await cursor.fetchone()
    assert row is not None
    return row


@asynccontextmanager
async def _connection(dsn: str) -> AsyncIterator[Connection]:
    try:
        async with await psycopg.AsyncConnection.connect(
            dsn, connect_timeout=CONNECT_SECONDS_MAX
        ) as connection:
            yield connection
    except psycopg.OperationalError as away:
        raise Unavailable(str(away).strip()) from away
