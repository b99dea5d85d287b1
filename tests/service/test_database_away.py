"""Whatever the database suffers: callers hear so soon, health tells, and service comes back by itself.

Nothing that was acknowledged is lost, nothing is doubled, and the read models follow.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import psycopg
import pytest
from grpc import StatusCode

from daybook.client import connect
from daybook.v1 import invoice_query_service_pb2 as query_pb
from daybook.v1 import invoice_query_service_pb2_grpc as query_grpc
from daybook.v1 import invoice_service_pb2 as service_pb
from daybook.v1 import invoice_service_pb2_grpc as service_grpc
from store.embedded import APPLICATION, SUPERUSER
from tests.postgres import Server

from .killing import BACK_SECONDS_MAX, Load, Served, content, load_reference_data
from .observing import READS, WRITES, Called, Observers
from .test_kills import check_log, check_read_model

pytestmark = pytest.mark.long

TIMES = int(os.environ.get("DAYBOOK_TEST_AWAY", "2"))
CALLERS = 4
AWAY_SECONDS = 25.0
DISK_BYTES = 400 << 20
HEALTH_SECONDS_MAX = 15.0  # until health tells
UNKNOWN_SECONDS_MAX = 45.0  # until a caller hears that what became of its write cannot be said

Fault: TypeAlias = Callable[[Server], contextlib.AbstractContextManager[None]]


@pytest.fixture
def folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="daybook-away-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own(folder: Path) -> Iterator[Server]:
    """A database that the service is given the address of, and has no power over."""
    server = Server(folder)
    yield server
    server.stop()


@pytest.fixture
def served(own: Server) -> Iterator[Served]:
    served = Served(database_url=own.embedded.app_dsn)
    load_reference_data(served.target)
    ingest(served, "observed-0")
    yield served
    served.stop()


def ingest(served: Served, key: str) -> None:
    """Until the read models show it."""
    with connect(served.target) as channel:
        request = service_pb.IngestInvoiceRequest(invoice=content(key, 1))
        answer = service_grpc.InvoiceServiceStub(channel).IngestInvoice(request, timeout=30)
        named = query_pb.GetInvoiceRequest(
            key=service_pb.InvoiceKey(unique_identifier=key), min_position=answer.position
        )
        query_grpc.InvoiceQueryServiceStub(channel).GetInvoice(named, timeout=30)


@contextmanager
def stopped(own: Server) -> Iterator[None]:
    own.run(own.embedded.stop())
    yield
    own.run(own.embedded.start())


@contextmanager
def frozen(own: Server) -> Iterator[None]:
    pids = processes(own)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    yield
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def read_only(own: Server) -> Iterator[None]:
    administer(own, "ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
    yield
    administer(own, "ALTER SYSTEM RESET default_transaction_read_only", "SELECT pg_reload_conf()")


@contextmanager
def read_only_for_the_service(own: Server) -> Iterator[None]:
    administer(own, f"ALTER ROLE {APPLICATION} SET default_transaction_read_only = on", DISCONNECT)
    yield
    administer(own, f"ALTER ROLE {APPLICATION} RESET default_transaction_read_only", DISCONNECT)


DISCONNECT = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'daybook'"


def administer(own: Server, *statements: str) -> None:
    with psycopg.connect(own.embedded.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute("SET default_transaction_read_only = off")
        for statement in statements:
            admin.execute(statement.encode())


def processes(own: Server) -> list[int]:
    assert own.embedded.pid is not None
    pid = own.embedded.pid
    return [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]


# What the database suffers, until when the service may take to answer meanwhile, and who is refused.
FAULTS: dict[str, tuple[Fault, float, tuple[str, ...]]] = {
    "stopped": (stopped, 12.0, WRITES + READS),
    "frozen": (frozen, 25.0, WRITES + READS),
    "read-only": (read_only, 12.0, WRITES),
    "read-only for the service": (read_only_for_the_service, 12.0, WRITES),
}


@pytest.mark.parametrize("name", FAULTS)
def test_while_the_database_is_away_callers_hear_so_and_it_comes_back_by_itself(
    name: str, own: Server, served: Served, record_property: Any
) -> None:
    fault, answer_seconds_max, refused = FAULTS[name]
    backs, tellings = [], []
    with Load(served, CALLERS) as load, Observers(served.target) as observers:
        for _ in range(TIMES):
            load.wait_for_more(CALLERS)
            wait_until(lambda: observers.is_well, served)
            began = time.monotonic()
            with fault(own):
                time.sleep(AWAY_SECONDS)
            over = time.monotonic()
            load.wait_for_more(CALLERS)
            wait_until(lambda: observers.is_well, served)
            backs.append(max(well_again(observers, began) - over, 0.0))
            tellings.append(
                min(at for at, serving in observers.health if at >= began and not serving) - began
            )
    print(f"\n{name}: health told after {', '.join(f'{each:.1f}' for each in tellings)} s")
    assert max(tellings) < HEALTH_SECONDS_MAX
    report(name, backs, load, observers, record_property)
    check_answers(observers, answer_seconds_max)
    for method in refused:
        assert any(each.method == method for each in observers.faults()), f"{method} heard nothing"
    check_book(served, load, observers)


def test_a_database_that_is_restarted_or_cuts_its_connections_costs_only_time(
    own: Server, served: Served, record_property: Any
) -> None:
    with Load(served, CALLERS) as load, Observers(served.target) as observers:
        for _ in range(10 * TIMES):
            load.wait_for_more(CALLERS)
            administer(own, DISCONNECT)
        cut = load.longest_gap
        for _ in range(2 * TIMES):
            load.wait_for_more(CALLERS)
            with stopped(own):
                pass
        load.wait_for_more(CALLERS)
        wait_until(lambda: observers.is_well, served)
    report("connections cut", [cut], load, observers, record_property)
    report("restarted", [load.longest_gap], load, observers, record_property)
    check_answers(observers, 12.0)
    check_book(served, load, observers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small disk")
@pytest.mark.parametrize("dies", [False, True], ids=["", "server dies of it"])
def test_a_full_disk_refuses_what_comes_and_loses_nothing(
    dies: bool, folder: Path, record_property: Any
) -> None:
    backs = []
    with on_small_disk(folder) as (own, served):
        filling = folder / "filling"
        with Load(served, CALLERS) as load, Observers(served.target) as observers:
            for _ in range(TIMES):
                load.wait_for_more(CALLERS)
                began = time.monotonic()
                fill(filling, partial(told, observers, began))
                if dies:
                    die_for_want_of_space(own, filling)
                time.sleep(10)
                filling.unlink()
                over = time.monotonic()
                load.wait_for_more(CALLERS)
                wait_until(lambda: observers.is_well, served)
                backs.append(max(well_again(observers, began) - over, 0.0))
        report("disk full" + dies * ", server dead", backs, load, observers, record_property)
        check_answers(observers, 12.0)
        check_book(served, load, observers)


@contextmanager
def on_small_disk(folder: Path) -> Iterator[tuple[Server, Served]]:
    with small_disk(folder):
        own = Server(folder / "data")
        try:
            served = Served(database_url=own.embedded.app_dsn)
            try:
                load_reference_data(served.target)
                ingest(served, "observed-0")
                yield own, served
            finally:
                served.stop()
        finally:
            own.stop()


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", folder], check=False
    )
    if mounted.returncode:
        pytest.skip("nothing can be mounted here")
    try:
        folder.chmod(0o711)
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(filling: Path, noticed: Callable[[], bool]) -> None:
    """Take every byte that is left, until somebody notices."""
    give_up = time.monotonic() + BACK_SECONDS_MAX
    with filling.open("ab", buffering=0) as file:
        while True:
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(1 << 16))
            if noticed():
                return
            assert time.monotonic() < give_up, "nobody noticed that the disk is full"
            time.sleep(0.01)


def die_for_want_of_space(own: Server, filling: Path) -> None:
    """The log of what PostgreSQL is about to do needs its next file: it cannot go on without."""
    give_up = time.monotonic() + BACK_SECONDS_MAX
    while True:
        assert time.monotonic() < give_up, "the server does not die"
        fill(filling, lambda: True)
        try:
            administer(
                own, "SELECT pg_switch_wal(), pg_logical_emit_message(true, 'fill', repeat('.', 5000))"
            )
        except psycopg.OperationalError as error:
            if error.sqlstate is None:  # no word any more
                return


def told(observers: Observers, began: float) -> bool:
    """Callers have heard of it, and health has said so."""
    return bool(observers.faults(began)) and False in observers.was_serving(began)


def wait_until(condition: Callable[[], bool], served: Served) -> None:
    until = time.monotonic() + BACK_SECONDS_MAX
    while not condition():
        assert time.monotonic() < until, f"the service does not come back: {served.said()}"
        time.sleep(0.05)


def well_again(observers: Observers, began: float) -> float:
    """When the last call that failed had failed, or health last said no."""
    ends = [each.began + each.took for each in observers.faults(began)]
    return max([began, *ends, *(at for at, serving in observers.health if at >= began and not serving)])


def check_answers(observers: Observers, seconds_max: float) -> None:
    """Every answer in time; every failure says that it is worth asking again, or that nobody knows."""
    wrong = [each for each in observers.calls if each.fault and not honest(each)]
    assert not wrong, wrong[:3]
    late = [
        each
        for each in observers.calls
        if each.took > (UNKNOWN_SECONDS_MAX if unknown(each) or settled(each) else seconds_max)
    ]
    assert not late, late[:3]


def honest(call: Called) -> bool:
    assert call.fault is not None
    if unknown(call):
        return call.method in WRITES
    away = call.fault.code is StatusCode.UNAVAILABLE and call.fault.reason == "STORE_UNAVAILABLE"
    return away and call.fault.retry_after is not None


def settled(call: Called) -> bool:
    """A write that succeeded: it may have been in doubt until the database was back."""
    return call.fault is None and call.method in WRITES


def unknown(call: Called) -> bool:
    return call.fault is not None and call.fault.reason == "OUTCOME_UNKNOWN"


def check_book(served: Served, load: Load, observers: Observers) -> None:
    assert load.failures == []
    load.acknowledged |= observers.acknowledged
    check_log(served, load)
    check_read_model(served, load)


def report(name: str, backs: list[float], load: Load, observers: Observers, record_property: Any) -> None:
    faults = observers.faults()
    slowest = max((each.took for each in faults), default=0.0)
    print(
        f"\n{name}: {len(backs)} times, {len(load.acknowledged)} acknowledged, back after"
        f" {', '.join(f'{back:.1f}' for back in backs)} s; {len(faults)} of {len(observers.calls)} calls"
        f" failed, the slowest after {slowest:.1f} s, {sum(map(unknown, faults))} of them unknown"
    )
    record_property(f"{name}: longest back", max(backs))
