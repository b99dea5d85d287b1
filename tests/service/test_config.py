"""Settings: where they come from, and which make no sense."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from service.config import (
    LOG_LEVELS,
    RANGES,
    BadSetting,
    Config,
    check,
    configured,
    default_folder,
    default_server,
    sources,
)

from .certificates import Authority, needs_openssl

NOTHING: dict[str, str] = {}


def test_what_nobody_says_is_sensible() -> None:
    assert configured({}, NOTHING) == Config()
    check(Config())
    assert {source for _, _, source in sources({}, NOTHING)} == {"default"}


def test_the_command_line_wins_over_the_environment_and_that_over_the_defaults() -> None:
    environment = {"DAYBOOK_LISTEN": "127.0.0.1:1", "DAYBOOK_WORKERS": "3", "LISTEN": "127.0.0.1:2"}
    config = configured({"listen": "127.0.0.1:4", "workers": None}, environment)
    assert (config.listen, config.workers, config.calls_max) == ("127.0.0.1:4", 3, 2000)
    told = {name: (value, source) for name, value, source in sources({"listen": "127.0.0.1:4"}, environment)}
    assert told["listen"] == ("127.0.0.1:4", "command line")
    assert told["workers"] == (3, "DAYBOOK_WORKERS")
    assert told["calls_max"] == (2000, "default")


def test_every_setting_can_be_said_in_the_environment() -> None:
    said = {
        bool: ("yes", True),
        int: ("7000", 7000),
        str: ("x", "x"),
    }
    values = {each.name: said[type(each.default)] for each in fields(Config)}
    environment = {f"DAYBOOK_{name.upper()}": text for name, (text, _) in values.items()}
    assert {name: value for name, value, _ in sources({}, environment)} == {
        name: value for name, (_, value) in values.items()
    }


def test_an_empty_variable_says_nothing() -> None:
    assert configured({}, {"DAYBOOK_WORKERS": "", "DAYBOOK_LISTEN": ""}) == Config()


@pytest.mark.parametrize("text", ["1", "true", "YES"])
def test_yes_has_many_names(text: str) -> None:
    assert configured({}, {"DAYBOOK_INSECURE": text}).insecure
    assert not configured({"insecure": None}, {"DAYBOOK_INSECURE": "no"}).insecure


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("DAYBOOK_INSECURE", "perhaps"),
        ("DAYBOOK_WORKERS", "two"),
        ("DAYBOOK_WORKERS", "-1"),
        ("DAYBOOK_LINES_MAX", "1e3"),
    ],
)
def test_a_variable_that_cannot_be_read_is_named(variable: str, text: str) -> None:
    with pytest.raises(BadSetting, match=f"^{variable}: .*'{text}'"):
        configured({}, {variable: text})


@pytest.mark.parametrize("name", RANGES)
def test_a_number_out_of_range_is_named_with_what_would_be_right(name: str) -> None:
    least, most = RANGES[name]
    for value in (least, most):
        check(Config(**{name: value}))  # type: ignore[arg-type]
    for value in (least - 1, most + 1):
        with pytest.raises(BadSetting, match=f"^{name}: between {least} and {most}; is {value}"):
            check(Config(**{name: value}))  # type: ignore[arg-type]


def test_every_number_among_the_settings_has_its_range() -> None:
    assert set(RANGES) == {each.name for each in fields(Config) if type(each.default) is int}


def test_a_log_level_that_there_is_not_is_named() -> None:
    for level in LOG_LEVELS:
        check(Config(log_level=level))
    with pytest.raises(BadSetting, match=r"^log_level: one of debug, info"):
        check(Config(log_level="loud"))


@pytest.mark.parametrize(
    "listen", ["", "50051", ":50051", "localhost", "localhost:", "localhost:65536", "a:b"]
)
def test_an_address_that_is_none_is_named(listen: str) -> None:
    with pytest.raises(BadSetting, match=r"^listen: HOST:PORT"):
        check(Config(listen=listen))


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "127.8.8.8:1", "localhost:65535", "[::1]:50051"])
def test_this_machine_may_be_spoken_to_in_clear_text(listen: str) -> None:
    check(Config(listen=listen))


@pytest.mark.parametrize("listen", ["0.0.0.0:50051", "[::]:50051", "192.168.1.7:1", "books.example.com:1"])
def test_others_may_not_unless_the_operator_insists(listen: str) -> None:
    with pytest.raises(BadSetting, match="--insecure"):
        check(Config(listen=listen))
    check(Config(listen=listen, insecure=True))


@pytest.mark.parametrize(
    ("config", "because"),
    [
        (Config(tls_cert="c"), "go together"),
        (Config(tls_key="k"), "go together"),
        (Config(client_ca="a"), "client-ca needs"),
        (Config(tls_cert="/nowhere/c", tls_key="/nowhere/k"), "/nowhere/c, /nowhere/k: No such file"),
    ],
)
def test_certificates_that_are_not_all_there_are_refused(config: Config, because: str) -> None:
    with pytest.raises(BadSetting, match=because):
        check(config)


@needs_openssl
def test_certificates_are_tried_out_before_anything_starts(tmp_path: Path) -> None:
    authority = Authority(tmp_path).found()
    (cert, key), (_, other) = authority.vouch("server", "DNS:localhost"), authority.vouch("other")
    check(Config("0.0.0.0:1", tls_cert=str(cert), tls_key=str(key), client_ca=str(authority.certificate)))
    with pytest.raises(BadSetting, match="tls-cert, tls-key: no certificate with its key"):
        check(Config(tls_cert=str(cert), tls_key=str(other)))
    with pytest.raises(BadSetting, match="client-ca: no certificates"):
        check(Config(tls_cert=str(cert), tls_key=str(key), client_ca=str(key)))


def test_the_data_lie_where_the_operator_says_else_in_the_users_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert Config(data_dir="/data").folder == Path("/data")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert Config().folder == default_folder() == tmp_path / "daybook"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/ada")
    assert default_folder() == Path("/home/ada/.local/share/daybook")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert default_folder() == Path("/var/lib/daybook")  # a private home is closed to who runs the store


def test_the_command_line_talks_to_the_server_that_the_environment_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("DAYBOOK_SERVER", raising=False)
    assert default_server() == "127.0.0.1:50051"
    monkeypatch.setenv("DAYBOOK_SERVER", "books:1")
    assert default_server() == "books:1"
