"""Whoever changes the log behind its back is found, and what was changed is named."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest

from store import chain
from store.proof.findings import Fault, Finding, Verdict
from store.proof.seal import Seal, digest, stated
from store.proof.tree import root
from store.proof.verify import Asked, verify_on
from tests.postgres import Database, Server

from .sealing import OURS, Book, faults, key_of, opened, parted

# Three streams of four events at the positions 1 to 12, sealed in segments of five, and two events unsealed.
FIRST, SECOND, THIRD = (UUID(int=n) for n in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class Kept:
    """A log that all tests of this module share."""

    database: Database
    witness: Path


@dataclass(frozen=True, slots=True)
class Tampered:
    """That log in the hands of a superuser who has put every trigger out of the way."""

    admin: psycopg.Connection[tuple[Any, ...]]
    witness: Path

    def verify(self, **asked: Any) -> tuple[list[Finding], Verdict]:
        return parted(verify_on(self.admin, Asked(**{"keys": OURS.trusted, **asked})))


@pytest.fixture(scope="module")
def kept(postgres: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    kept = Kept(postgres.make("tampering"), tmp_path_factory.mktemp("witness") / "witness")
    asyncio.run(write(kept))
    yield kept
    postgres.drop("tampering")


async def write(kept: Kept) -> None:
    async with await opened(kept.database) as log:
        book = Book(kept.database, log, witness=kept.witness)
        await book.append(4, 4, 4)
        await book.seal(events_max=5)
        await book.go_on(FIRST, 2)


@pytest.fixture
def book(kept: Kept) -> Iterator[Tampered]:
    """The same log for every test; what is done to it is undone afterwards."""
    with psycopg.connect(kept.database.admin_dsn) as admin:
        admin.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for table in ("events", "seals"):
            admin.execute(f"ALTER TABLE daybook.{table} DISABLE TRIGGER ALL".encode())
        yield Tampered(admin, kept.witness)
        admin.rollback()


def test_a_log_that_nobody_touched_verifies(book: Tampered) -> None:
    findings, verdict = book.verify(witness=book.witness)
    assert findings == []
    assert (verdict.events, verdict.unsealed, verdict.seals, verdict.position) == (12, 2, 3, 12)
    assert (verdict.signed, verdict.witnessed) == (3, 3)


@pytest.mark.parametrize(
    ("deed", "found"),
    [
        pytest.param(
            "UPDATE daybook.events SET state = overlay(state PLACING '\\x78' FROM length(state) - 3)"
            " WHERE notification_id = 2",
            [("altered", 2, "01", 2)],
            id="a byte edited",
        ),
        pytest.param(
            "UPDATE daybook.events SET state = overlay(state PLACING '\\x78' FROM length(state) - 3)"
            " WHERE notification_id = 8",
            [("altered", 8, "02", 4)],
            id="a byte edited in the last event of a stream",
        ),
        pytest.param(
            "UPDATE daybook.events SET topic = 'Met' WHERE notification_id = 3",
            [("altered", 3, "01", 3)],
            id="a name changed",
        ),
        pytest.param(
            "DELETE FROM daybook.events WHERE notification_id = 8",
            [("missing", 8, "02", 4)],
            id="the tail of a stream deleted",
        ),
        pytest.param(
            "DELETE FROM daybook.events WHERE notification_id >= 11",
            [("missing", 11, "03", 3), ("missing", 12, "03", 4)],
            id="the tail of the log deleted",
        ),
        pytest.param(
            "DELETE FROM daybook.events WHERE notification_id = 6",
            [("missing", 6, "02", 2)],
            id="one in the middle deleted",
        ),
        pytest.param(
            "UPDATE daybook.events SET notification_id = -notification_id WHERE notification_id IN (2, 3);"
            "UPDATE daybook.events SET notification_id = 5 + notification_id WHERE notification_id < 0",
            [("reordered", 2, "01", 2), ("reordered", 3, "01", 3)],
            id="two swapped",
        ),
        pytest.param(
            "INSERT INTO daybook.events (originator_id, originator_version, topic, state, notification_id)"
            " SELECT originator_id, 9, topic, state, 0 FROM daybook.events WHERE notification_id = 2",
            [("inserted", 0, "01", 9)],
            id="one inserted before all others",
        ),
        pytest.param(
            "DELETE FROM daybook.events WHERE notification_id = 7;"
            "INSERT INTO daybook.events (originator_id, originator_version, topic, state, notification_id)"
            " SELECT '00000000-0000-0000-0000-0000000000ff', 1, topic, state, 7 FROM daybook.events"
            " WHERE notification_id = 1",
            [("missing", 7, "02", 3), ("inserted", 7, "", 1)],
            id="one inserted where another stood",
        ),
        pytest.param(
            "UPDATE daybook.events SET originator_id = '00000000-0000-0000-0000-000000000003',"
            " originator_version = 5 WHERE notification_id = 8",
            [("moved", 8, "02", 4), ("unchained", 8, "03", 5)],
            id="one moved to another stream",
        ),
        pytest.param(
            "UPDATE daybook.events SET notification_id = 99 WHERE notification_id = 8",
            [("missing", 8, "02", 4)],
            id="one moved behind the last seal",
        ),
        pytest.param(
            'UPDATE daybook.personal SET body = \'{"first":"Eve"}\' WHERE version = 4 AND stream ='
            " '00000000-0000-0000-0000-000000000002'",
            [("personal-altered", 8, "02", 4)],
            id="personal text replaced",
        ),
        pytest.param(
            "UPDATE daybook.events SET state = overlay(state PLACING '\\x78' FROM length(state) - 3)"
            " WHERE notification_id = 13",
            [("unchained", 14, "01", 6)],
            id="a byte edited that no seal covers yet",
        ),
        pytest.param(
            "DELETE FROM daybook.seals WHERE number = 2", [("seal-missing", 0, "", 0)], id="a seal deleted"
        ),
        pytest.param(
            "UPDATE daybook.seals SET statement = replace(statement, '\"epoch\":1', '\"epoch\":0')"
            " WHERE number = 2",
            [("seal-altered", 0, "", 0), ("seal-key", 0, "", 0), ("seal-altered", 0, "", 0)],
            id="a seal rewritten",
        ),
        pytest.param(
            "UPDATE daybook.seals SET signature = NULL WHERE number = 2",
            [("seal-key", 0, "", 0)],
            id="a signature gone",
        ),
        pytest.param(
            "UPDATE daybook.seals SET places = overlay(places PLACING '\\x37' FROM 3) WHERE number = 1",
            [("seal-altered", 1, "01", 1)],
            id="the list beside a seal renamed",
        ),
    ],
)
def test_what_was_done_to_the_database_is_found_and_named(
    deed: str, found: list[tuple[str, int, str, int]], book: Tampered
) -> None:
    book.admin.execute(deed.encode())
    findings, _ = book.verify()
    assert [(f, p, s if s in ("01", "02", "03") else "", v) for f, p, s, v in faults(findings)] == found


def test_one_digest_recomputed_does_not_hide_an_edit(book: Tampered) -> None:
    edit(book, SECOND, 2, b'"amount":"1"', b'"amount":"7"', recomputed=1)
    findings, _ = book.verify()
    assert faults(findings) == [("altered", 6, "02", 2), ("altered", 7, "02", 3)]


def test_a_whole_stream_recomputed_does_not_hide_an_edit(book: Tampered) -> None:
    edit(book, SECOND, 2, b'"amount":"1"', b'"amount":"7"', recomputed=9)
    findings, _ = book.verify()
    assert faults(findings) == [("altered", p, "02", p - 4) for p in (6, 7, 8)]


def test_the_lists_recomputed_too_leave_the_root(book: Tampered) -> None:
    edit(book, SECOND, 2, b'"amount":"1"', b'"amount":"7"', recomputed=9)
    recompute_seals(book, statements=False)
    findings, _ = book.verify()
    assert {(f.fault, f.seal) for f in findings} == {(Fault.SEAL_ALTERED, 2), (Fault.SEGMENT, 2)}
    assert findings[-1].text == "seal 2 what stands from position 6 to 10 is not what was sealed"


def test_everything_recomputed_lacks_the_key(book: Tampered) -> None:
    edit(book, SECOND, 2, b'"amount":"1"', b'"amount":"7"', recomputed=9)
    recompute_seals(book, statements=True)
    findings, _ = book.verify()
    assert {(f.fault, f.seal) for f in findings} == {(Fault.SEAL_KEY, n) for n in (1, 2, 3)}


def test_everything_recomputed_and_signed_by_another_is_not_what_was_witnessed(book: Tampered) -> None:
    edit(book, SECOND, 2, b'"amount":"1"', b'"amount":"7"', recomputed=9)
    recompute_seals(book, statements=True)
    findings, _ = book.verify(keys=(), witness=book.witness)
    assert {(f.fault, f.seal) for f in findings} == {(Fault.WITNESS, n) for n in (1, 2, 3)}


def test_a_log_cut_off_with_its_seals_is_not_what_was_witnessed(book: Tampered) -> None:
    book.admin.execute("DELETE FROM daybook.events WHERE notification_id > 5")
    book.admin.execute("DELETE FROM daybook.personal WHERE stream > '00000000-0000-0000-0000-000000000001'")
    book.admin.execute("DELETE FROM daybook.seals WHERE number > 1")
    assert book.verify()[0] == []  # what the documentation says cannot be proven without a witness
    findings, _ = book.verify(witness=book.witness)
    assert faults(findings) == [("witness", 6, "", 0), ("witness", 11, "", 0)]
    assert findings[0].text == "seal 2 is not in the log any more; it covers positions 6 to 10"


def test_an_event_that_stands_twice_is_found_where_the_index_was_dropped(book: Tampered) -> None:
    book.admin.execute("ALTER TABLE daybook.events DROP CONSTRAINT events_pkey CASCADE")
    book.admin.execute("DROP INDEX daybook.events_notification_id_idx")
    book.admin.execute("INSERT INTO daybook.events SELECT * FROM daybook.events WHERE notification_id = 2")
    findings, _ = book.verify()
    assert Fault.SEGMENT in {f.fault for f in findings}


async def test_an_event_written_by_hand_before_it_is_sealed_does_not_fit_its_stream(
    database: Database,
) -> None:
    async with await opened(database) as log:
        book = Book(database, log)
        await book.append(4)
        with psycopg.connect(database.admin_dsn) as admin:
            admin.execute(
                "INSERT INTO daybook.events (originator_id, originator_version, topic, state)"
                " SELECT originator_id, 5, topic, state FROM daybook.events WHERE notification_id = 4"
            )
        await book.seal()
        assert faults(book.verify()[0]) == [("unchained", 5, "01", 5)]


def edit(book: Tampered, stream: UUID, version: int, old: bytes, new: bytes, *, recomputed: int) -> None:
    """Change an event, and in so many of those behind it the digest that they name."""
    admin = book.admin
    rows = admin.execute(
        "SELECT originator_version, topic, state FROM daybook.events WHERE originator_id = %s"
        " AND originator_version >= %s ORDER BY 1",
        (stream, version),
    ).fetchall()
    was = now = ""
    for at, topic, state in rows[: recomputed + 1]:
        changed = state.replace(was.encode(), now.encode()) if was else state.replace(old, new)
        assert changed != state
        was, now = (chain.digest(stream, at, topic, form) for form in (state, changed))
        admin.execute(
            "UPDATE daybook.events SET state = %s WHERE originator_id = %s AND originator_version = %s",
            (changed, stream, at),
        )


def recompute_seals(book: Tampered, *, statements: bool) -> None:
    """Make every list, and the statements too, over the log as it stands, signed by somebody else."""
    forger = key_of("forger")
    admin = book.admin
    prev = ""
    for number, statement in admin.execute(
        "SELECT number, statement FROM daybook.seals ORDER BY 1"
    ).fetchall():
        seal = stated(statement)
        rows = admin.execute(
            "SELECT notification_id, originator_id, originator_version, topic, state FROM daybook.events"
            " WHERE notification_id > %s AND notification_id <= %s ORDER BY 1",
            (seal.after, seal.last),
        ).fetchall()
        leaves = b"".join(p.to_bytes(8, "big") + bytes.fromhex(chain.digest(s, *of)) for p, s, *of in rows)
        admin.execute("UPDATE daybook.seals SET leaves = %s WHERE number = %s", (leaves, number))
        if statements:
            forged = Seal(
                seal.log, seal.epoch, number, seal.after, seal.last, len(rows), root(leaves).hex(), prev,
                seal.sealed, forger.current,
            ).statement  # fmt: skip
            prev = digest(forged)
            admin.execute(
                "UPDATE daybook.seals SET statement = %s, signature = %s WHERE number = %s",
                (forged, bytes.fromhex(forger.signed(forged)), number),
            )
