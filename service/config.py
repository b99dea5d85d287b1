"""Settings: from the command line, else the environment, else what is sensible.

Nothing else reads the environment.
"""

from __future__ import annotations

import getpass
import os
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path

PREFIX = "DAYBOOK_"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
LINES_MAX = 20_000
PORT_MAX = 65_535
LOG_LEVELS = ("debug", "info", "warning", "error", "critical")
RANGES = {
    "message_bytes_max": (1024, 256 * 1024 * 1024),
    "lines_max": (1, 1_000_000),
    "workers": (1, 1024),
    "calls_max": (1, 1_000_000),
    "streams_max": (1, 1_000_000),
    "grace_seconds": (0, 86_400),
}


class BadSetting(Exception):
    """A setting makes no sense; the text names it."""


@dataclass(frozen=True, slots=True)
class Config:
    """How to serve. Each setting is also the environment variable DAYBOOK_ and its name in capitals."""

    listen: str = "127.0.0.1:50051"
    data_dir: str = ""
    database_url: str = ""
    tls_cert: str = ""
    tls_key: str = ""
    client_ca: str = ""
    seal_key: str = ""
    witness: str = ""
    insecure: bool = False
    message_bytes_max: int = MESSAGE_BYTES_MAX
    lines_max: int = LINES_MAX
    workers: int = 1
    calls_max: int = 2000
    streams_max: int = 500
    grace_seconds: int = 30
    log_level: str = "info"

    @property
    def folder(self) -> Path:
        """Where the embedded store lives."""
        return Path(self.data_dir) if self.data_dir else default_folder()

    @property
    def host(self) -> str:
        return self.listen.rpartition(":")[0].strip("[]")


def default_folder() -> Path:
    """As root not in a private home: the unprivileged user that runs the store could not reach it."""
    if os.geteuid() == 0:
        return Path("/var/lib/daybook")
    state = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(state) / "daybook"


def configured(said: Mapping[str, object], environment: Mapping[str, str] | None = None) -> Config:
    """Settings said on the command line (None: not said) over those of the environment."""
    values = {name: value for name, value, _ in sources(said, environment)}
    config = Config(**values)  # type: ignore[arg-type]
    check(config)
    return config


def sources(
    said: Mapping[str, object], environment: Mapping[str, str] | None = None
) -> Iterable[tuple[str, object, str]]:
    """Each setting with its value and where it comes from."""
    environment = os.environ if environment is None else environment
    for each in fields(Config):
        variable = PREFIX + each.name.upper()
        if said.get(each.name) is not None:
            yield each.name, said[each.name], "command line"
        elif environment.get(variable):
            yield each.name, _read(variable, environment[variable], each.default), variable
        else:
            yield each.name, each.default, "default"


def _read(variable: str, text: str, default: object) -> object:
    if isinstance(default, bool):
        if text.lower() not in ("1", "true", "yes", "0", "false", "no"):
            raise BadSetting(f"{variable}: true or false; is {text!r}")
        return text.lower() in ("1", "true", "yes")
    if isinstance(default, int):
        if not text.isdecimal():
            raise BadSetting(f"{variable}: a whole number; is {text!r}")
        return int(text)
    return text


def check(config: Config) -> None:
    _check_listen(config)
    for name, (least, most) in RANGES.items():
        value: int = getattr(config, name)
        if not least <= value <= most:
            raise BadSetting(f"{name}: between {least} and {most}; is {value}")
    if config.log_level not in LOG_LEVELS:
        raise BadSetting(f"log_level: one of {', '.join(LOG_LEVELS)}; is {config.log_level!r}")
    if bool(config.tls_cert) != bool(config.tls_key):
        raise BadSetting("tls-cert and tls-key go together")
    if config.client_ca and not config.tls_cert:
        raise BadSetting("client-ca needs tls-cert and tls-key")
    if not config.tls_cert and not config.insecure and not _is_loopback(config.host):
        raise BadSetting(
            f"listen: {config.listen} is reachable by others in clear text; "
            "give --tls-cert and --tls-key, or --insecure if something in front keeps it safe"
        )
    if config.tls_cert:
        _check_certificates(config)


def _check_listen(config: Config) -> None:
    host, _, port = config.listen.rpartition(":")
    if not host or not port.isdecimal() or int(port) > PORT_MAX:
        raise BadSetting(f"listen: HOST:PORT, such as 127.0.0.1:50051; is {config.listen!r}")


def _check_certificates(config: Config) -> None:
    """Tries them out here: gRPC does not say what it does not like about them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(config.tls_cert, config.tls_key, password=str)  # which asks nobody for one
    except OSError as error:
        pair = f"{config.tls_cert}, {config.tls_key}"
        raise BadSetting(f"tls-cert, tls-key: no certificate with its key: {pair}: {_why(error)}") from error
    try:
        if config.client_ca:
            context.load_verify_locations(config.client_ca)
    except OSError as error:
        raise BadSetting(f"client-ca: no certificates: {config.client_ca}: {_why(error)}") from error


def _why(error: OSError) -> str:
    return error.reason if isinstance(error, ssl.SSLError) else error.strerror or str(error)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def local_user() -> str:
    """Who the server runs as: the one who is answerable for calls that name nobody."""
    return getpass.getuser()


def default_server() -> str:
    """The server that the command line talks to."""
    return os.environ.get(PREFIX + "SERVER") or "127.0.0.1:50051"
