"""Settings: from the command line, else the environment, else what is sensible.

Nothing else reads the environment.
"""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from ipaddress import ip_address
from pathlib import Path

PREFIX = "DAYBOOK_"
MESSAGE_BYTES_MAX = 16 * 1024 * 1024
LINES_MAX = 20_000


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
    host, _, port = config.listen.rpartition(":")
    if not host or not port.isdecimal():
        raise BadSetting(f"listen: HOST:PORT, such as 127.0.0.1:50051; is {config.listen!r}")
    if config.workers < 1:
        raise BadSetting(f"workers: at least 1; is {config.workers}")
    if bool(config.tls_cert) != bool(config.tls_key):
        raise BadSetting("tls-cert and tls-key go together")
    if config.client_ca and not config.tls_cert:
        raise BadSetting("client-ca needs tls-cert and tls-key")
    if not config.tls_cert and not config.insecure and not _is_loopback(config.host):
        raise BadSetting(
            f"listen: {config.listen} is reachable by others in clear text; "
            "give --tls-cert and --tls-key, or --insecure if something in front keeps it safe"
        )


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
