"""The verbs about the server itself, and what holds for the command as a whole."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from typer.testing import CliRunner

from service.cli import app
from service.cli.serving import masked

from ..serving import DAYBOOK, buffering

VERBS = [
    *("serve", "ingest", "order", "show", "list", "cancel", "revise", "update"),
    *("status", "migrate", "demo", "reference"),
]
HEAVY = {"grpc", "google.protobuf", "psycopg", "eventsourcing", "yaml", "daybook", "service.bootstrap"}


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the database's user can pass through, wherever pytest keeps its own."""
    made = Path(tempfile.mkdtemp(prefix="daybook-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made)


@pytest.mark.long
def test_the_demonstration_shows_an_order_and_an_invoice_and_leaves_nothing_behind(place: Path) -> None:
    environment = buffering() | {"TMPDIR": str(place)}
    shown = subprocess.run([DAYBOOK, "demo"], env=environment, capture_output=True, text=True, check=False)
    assert shown.returncode == 0, shown.stdout + shown.stderr
    for text in (
        "ready after",
        "78 changed",
        "39 recorded",
        "order SO-2026-00533: 2 invoices",
        "order SO-2026-00417: 6 invoices",
        "Invoice RE-2026-0467",
        "paid: payment",
        "converted to credit memo",
        "voided by credit memo",
        "8 receivables",
        "de-19 v1   gross   63,312.00",
    ):
        assert text in shown.stdout
    assert list(place.iterdir()) == []


@pytest.mark.long
def test_a_demonstration_that_is_interrupted_leaves_nothing_behind(place: Path) -> None:
    environment = os.environ | {"TMPDIR": str(place)}
    shown = subprocess.Popen([DAYBOOK, "demo"], env=environment, stdout=subprocess.PIPE, text=True)
    assert shown.stdout is not None
    assert any("daybook serves on" in line for line in shown.stdout)
    shown.send_signal(signal.SIGINT)
    shown.communicate(timeout=60)
    assert shown.returncode == 130
    assert list(place.iterdir()) == []


def test_serve_says_its_settings_and_where_they_come_from_but_no_password() -> None:
    result = CliRunner().invoke(
        app,
        ["serve", "--print-config", "--listen", "127.0.0.1:7"],
        env={"DAYBOOK_DATABASE_URL": "postgresql://me:secret@db/book"},
    )
    assert result.exit_code == 0
    assert "listen = 127.0.0.1:7  # command line" in result.stdout
    assert "database_url = postgresql://me:***@db/book  # DAYBOOK_DATABASE_URL" in result.stdout
    assert "tls_cert =   # default" in result.stdout
    assert "secret" not in result.stdout


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://me@db/book", "postgresql://me@db/book"),
        ("postgresql://me:p%40ss@db:5432/book", "postgresql://me:***@db:5432/book"),
        ("host=db password=secret user=me", "host=db password=*** user=me"),
        ("host=db password = 'se cret' user=me", "host=db password = *** user=me"),
    ],
)
def test_a_password_is_never_shown(url: str, shown: str) -> None:
    assert masked(url) == shown


@pytest.mark.parametrize(
    ("options", "because"),
    [
        (("--listen", "0.0.0.0:50051"), "--insecure"),
        (("--listen", "nowhere"), "HOST:PORT"),
        (("--tls-cert", "x.pem"), "go together"),
        (("--client-ca", "x.pem"), "needs tls-cert"),
    ],
)
def test_serve_refuses_settings_that_make_no_sense(options: tuple[str, ...], because: str) -> None:
    result = CliRunner().invoke(app, ["serve", *options])
    assert result.exit_code == 2
    assert because in result.stderr


def test_migrate_wants_to_know_which_database() -> None:
    result = CliRunner().invoke(app, ["migrate"], env={"DAYBOOK_DATABASE_URL": ""})
    assert result.exit_code == 2
    assert "--database-url" in result.stderr


def test_migrate_prints_what_the_role_of_the_service_needs() -> None:
    result = CliRunner().invoke(app, ["migrate", "--print-grants", "book_app"])
    assert result.exit_code == 0
    assert "book_app" in result.stdout


def test_a_backup_of_a_folder_without_a_book_is_refused_and_makes_none(tmp_path: Path) -> None:
    mistyped, file = tmp_path / "mistyped", tmp_path / "book.zip"
    result = CliRunner().invoke(app, ["backup", str(file), "--data-dir", str(mistyped)])
    assert result.exit_code == 2
    assert f"{mistyped} holds no book" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_restore_of_a_file_that_there_is_not_makes_no_book(tmp_path: Path) -> None:
    missing, folder = tmp_path / "book.zip", tmp_path / "data"
    result = CliRunner().invoke(app, ["restore", str(missing), "--data-dir", str(folder)])
    assert result.exit_code == 2
    assert f"{missing}: there is no such file" in result.stderr
    assert not folder.exists()


@pytest.mark.long
@pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl to make certificates with")
def test_with_tls_both_sides_prove_who_they_are(place: Path, tmp_path: Path) -> None:
    certificates(tmp_path)
    ca, cert, key = (str(tmp_path / name) for name in ("ca.pem", "cert.pem", "key.pem"))
    pair = ("--tls-cert", cert, "--tls-key", key)
    proven = ("--tls-ca", ca, *pair)
    with secured(place, *pair, "--client-ca", ca) as target:
        assert status(target, *proven) == 0
        assert status(target, "--tls-ca", ca) == 1
        assert status(target) == 1
        listed = CliRunner().invoke(app, ["list", "--server", target, *proven])
        assert listed.stdout == "no invoices\n"


def test_a_long_file_shows_progress_on_a_terminal_and_nowhere_else(shop: str, tmp_path: Path) -> None:
    file = tmp_path / "long.jsonl"
    file.write_text('{"account_id": "A", "description": "' + 600_000 * "x" + '"}\n')
    command = [str(DAYBOOK), "ingest", str(file), "--server", shop]
    quiet = subprocess.run(command, capture_output=True, text=True, check=False)
    shown = on_terminal(command)
    assert quiet.stderr.count("invoices") == 0
    assert "0 invoices" in shown
    assert "1 refused" in shown


def test_every_verb_has_its_help() -> None:
    for verb in VERBS:
        result = CliRunner().invoke(app, [verb, "--help"], env={"TERM": "dumb", "COLUMNS": "200"})
        assert result.exit_code == 0
        assert "Usage:" in result.stdout
    listed = CliRunner().invoke(app, ["--help"]).stdout
    assert [verb for verb in VERBS if f" {verb} " not in listed] == []


def test_help_is_quick_because_it_loads_nothing_that_it_does_not_need() -> None:
    subprocess.run([DAYBOOK, "--help"], capture_output=True, check=True)
    loaded = "import service.cli, sys; print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout
    assert HEAVY & set(said.split()) == set()


@contextmanager
def secured(place: Path, *options: str) -> Iterator[str]:
    command: list[str | Path] = [
        DAYBOOK,
        "serve",
        "--data-dir",
        place / "data",
        "--listen",
        "127.0.0.1:0",
        *options,
    ]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield next(line.split()[-1] for line in server.stdout if "serves on" in line)
    finally:
        server.terminate()
        server.communicate(timeout=60)


def status(target: str, *options: str) -> int:
    return CliRunner().invoke(app, ["status", "--server", target, *options]).exit_code


def on_terminal(command: list[str]) -> str:
    """What a command shows on a terminal."""
    said = bytearray()

    def read(descriptor: int) -> bytes:
        said.extend(data := os.read(descriptor, 4096))
        return data

    environment = {"TERM": "xterm", "COLUMNS": "120"}
    status = pty.spawn(["/usr/bin/env", *(f"{k}={v}" for k, v in environment.items()), *command], read)
    assert os.waitstatus_to_exitcode(status) == 1
    return said.decode()


def certificates(folder: Path) -> None:
    """One authority, one certificate for both sides."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)

    authority = ("-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", *authority)
    openssl(
        "req", "-newkey", "rsa:2048", "-nodes", "-keyout", "key.pem", "-out", "csr", "-subj", "/CN=localhost"
    )
    (folder / "names").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    openssl("x509", "-req", "-in", "csr", "-days", "1", *signed, "-out", "cert.pem")
