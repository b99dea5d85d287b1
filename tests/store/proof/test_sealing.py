"""The log is sealed in its order, once, by whoever comes first; a verification begins where one trusts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from store.backup import backup, restore
from store.proof import keys, witness
from store.proof.findings import Fault
from store.proof.keys import Keys
from store.proof.seal import stated
from store.proof.verify import NotTrusted
from tests.postgres import Database, Server

from .sealing import OURS, Book, faults, key_of, opened, verified


@pytest.fixture
async def book(database: Database) -> AsyncIterator[Book]:
    async with await opened(database) as log:
        yield Book(database, log)


async def test_the_log_is_sealed_whole_and_no_segment_is_too_long(book: Book) -> None:
    await book.append(3, 4, 5)
    await book.seal(events_max=5)
    seals = [stated(row[0]) for row in rows(book, "SELECT statement FROM daybook.seals ORDER BY number")]
    assert [(s.number, s.after, s.last, s.events) for s in seals] == [
        (1, 0, 5, 5),
        (2, 5, 10, 5),
        (3, 10, 12, 2),
    ]
    assert [s.prev for s in seals] == ["", seals[0].digest, seals[1].digest]
    assert {(s.log, s.epoch, s.key) for s in seals} == {(str(book.log.identity.log_id), 1, OURS.current)}


async def test_nothing_is_sealed_where_nothing_happened(book: Book) -> None:
    await book.seal()
    findings, verdict = book.verify()
    assert (findings, verdict.events, verdict.seals) == ([], 0, 0)


async def test_an_event_waits_for_its_seal_until_it_is_old_enough(book: Book) -> None:
    sealer = book.sealer()
    sealer._age_max = 3600.0
    await book.append(3)
    await sealer.step()
    assert rows(book, "SELECT count(*) FROM daybook.seals") == [(0,)]
    sealer._age_max = 0.0
    await sealer.step()
    assert rows(book, "SELECT count(*) FROM daybook.seals") == [(1,)]
    sealer.close()


async def test_sealers_at_the_same_time_make_one_chain(book: Book) -> None:
    sealers = [book.sealer(events_max=2) for _ in range(4)]
    for _ in range(5):
        await book.append(3)
        await asyncio.gather(*(sealer.step() for sealer in sealers))
    await book.seal(events_max=2)
    for sealer in sealers:
        sealer.close()
    findings, verdict = book.verify()
    assert (findings, verdict.events, verdict.unsealed) == ([], 15, 0)


async def test_sealing_goes_on_while_others_write(book: Book) -> None:
    sealer = book.sealer(events_max=50)
    running = asyncio.create_task(sealer.run())
    for _ in range(10):
        await asyncio.gather(*(book.append(7) for _ in range(3)))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await book.seal()
    findings, verdict = book.verify()
    assert (findings, verdict.events) == ([], 210)


async def test_the_service_can_neither_change_nor_remove_a_seal(book: Book) -> None:
    await book.append(3)
    await book.seal()
    for role in (book.database.app_dsn, book.database.owner_dsn):
        for deed in (
            "UPDATE daybook.seals SET last = 1",
            "DELETE FROM daybook.seals",
            "TRUNCATE daybook.seals",
        ):
            with psycopg.connect(role) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(deed.encode())


async def test_a_verification_goes_on_from_a_seal_that_one_trusts(book: Book) -> None:
    await book.append(3, 3)
    await book.seal(events_max=3)
    _, first = book.verify()
    await book.append(2)
    await book.go_on(book.streams[0])
    await book.seal()
    findings, verdict = book.verify(since=first.seal, digest=first.digest)
    assert (findings, verdict.events, verdict.since, verdict.seal) == ([], 3, 2, 3)
    with pytest.raises(NotTrusted, match="not the one that you trust"):
        book.verify(since=1, digest=first.digest)
    with pytest.raises(NotTrusted, match="there is no seal 9"):
        book.verify(since=9)


async def test_a_new_key_is_trusted_once_the_old_one_has_countersigned(book: Book, tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    old = keys.make(file)
    await book.append(3)
    await book.seal(keys=keys.read(file))
    new = keys.rotate(file)
    for _ in range(2):
        await book.append(3)
        await book.seal(keys=keys.read(file))
    assert keys.retire(file) == [old]
    assert keys.read(file).trusted == (new, old)
    await book.append(3)
    await book.seal(keys=keys.read(file))
    for trusted in ((old,), (new, old)):
        findings, verdict = book.verify(keys=trusted)
        assert (findings, verdict.signed, set(verdict.keys)) == ([], 4, {old, new})
    assert {(f.fault, f.seal) for f in book.verify(keys=(new,))[0]} == {(Fault.SEAL_KEY, 1)}


async def test_a_new_key_without_the_old_ones_word_is_not_trusted(book: Book) -> None:
    await book.append(3)
    await book.seal()
    await book.append(3)
    await book.seal(keys=key_of("somebody else"))
    findings, _ = book.verify()
    assert [(f.fault, f.seal) for f in findings] == [(Fault.SEAL_KEY, 2)]


async def test_seals_without_a_signature_are_told_where_keys_are_asked_for(book: Book) -> None:
    await book.append(3)
    await book.seal(keys=Keys())
    assert book.verify(keys=())[0] == []
    assert [(f.fault, f.seal) for f in book.verify()[0]] == [(Fault.SEAL_UNSIGNED, 1)]


async def test_a_witness_hears_of_every_seal_also_of_those_it_missed(book: Book, tmp_path: Path) -> None:
    await book.append(3, 3)
    await book.seal(events_max=2)
    book.witness = tmp_path / "witness"
    await book.append(3)
    await book.seal(events_max=2)
    assert [seal.number for seal, _ in witness.seals(book.witness)] == [1, 2, 3, 4, 5]
    findings, verdict = book.verify(witness=book.witness)
    assert (findings, verdict.witnessed) == ([], 5)


async def test_a_witness_file_that_was_touched_is_refused(book: Book, tmp_path: Path) -> None:
    book.witness = tmp_path / "witness"
    await book.append(3, 3)
    await book.seal(events_max=2)
    lines = book.witness.read_bytes().splitlines(keepends=True)
    for touched in ([lines[0], lines[2]], [lines[0].replace(b"events", b"evants")], [b"{}\n"], [b"x"]):
        book.witness.write_bytes(b"".join(touched))
        with pytest.raises(witness.BadWitness):
            book.verify(witness=book.witness)


async def test_a_restored_log_verifies_and_is_sealed_on_in_its_new_epoch(
    book: Book, postgres: Server, tmp_path: Path
) -> None:
    book.witness = tmp_path / "witness"
    await book.append(3, 3)
    await book.seal(events_max=4)
    await backup(book.database.owner_dsn, tmp_path / "backup")
    await book.append(3)
    await book.seal()
    elsewhere = postgres.make("restored")
    try:
        await restore(elsewhere.owner_dsn, tmp_path / "backup")
        assert verified(elsewhere, keys=OURS.trusted)[0] == []
        async with await opened(elsewhere) as log:
            again = Book(elsewhere, log, streams=list(book.streams))
            await again.append(2)
            await again.seal()
            findings, verdict = again.verify()
            assert (findings, verdict.events, verdict.seal) == ([], 8, 3)
            assert verdict.epoch > 1
            assert faults(again.verify(witness=book.witness)[0]) == [("witness", 7, "", 0)]
    finally:
        postgres.drop("restored")


async def test_a_sealer_does_not_build_on_what_it_cannot_believe(book: Book) -> None:
    await book.append(3)
    await book.seal()
    with psycopg.connect(book.database.admin_dsn) as admin:
        admin.execute("ALTER TABLE daybook.seals DISABLE TRIGGER ALL")
        admin.execute("UPDATE daybook.seals SET signature = decode(repeat('00', 64), 'hex')")
    await book.append(3)
    sealer = book.sealer()
    assert await sealer._pause() > 1
    sealer.close()
    assert rows(book, "SELECT count(*) FROM daybook.seals") == [(1,)]


def test_keys_are_for_their_owner_alone_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "seal.key"
    name = keys.make(file)
    assert file.stat().st_mode & 0o777 == 0o600
    assert keys.named([str(file), name]) == (name,)
    for deed in (lambda: keys.make(file), lambda: keys.read(tmp_path), lambda: keys.named(["nowhere"])):
        with pytest.raises(keys.BadKey):
            deed()
    file.write_text("nothing")
    with pytest.raises(keys.BadKey, match="holds no Ed25519 key"):
        keys.read(file)


def rows(book: Book, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(book.database.app_dsn) as connection:
        return connection.execute(query.encode()).fetchall()
