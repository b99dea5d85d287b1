"""`daybook serve` and `migrate`: settings in, the house up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Mapping
from pathlib import Path

from .. import bootstrap
from ..config import BadSetting, Config, configured, sources
from ..logs import set_up
from .options import Stop
from .server_verbs import Serving

PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*@|(password\s*=\s*)('[^']*'|\S+)")


def serve(serving: Serving, *, print_config: bool) -> None:
    said = said_of(serving)
    if print_config:
        for name, value, source in sources(said):
            print(f"{name} = {masked(str(value))}  # {source}")
    config = checked(said)
    if not print_config:
        set_up(config.log_level)
        try:
            asyncio.run(bootstrap.serve(config))
        except (BadSetting, *bootstrap.CANNOT_START) as error:
            raise Stop(str(error)) from error


def migrate(database_url: str | None, print_grants: str | None) -> None:
    if print_grants:
        bootstrap.print_grants(print_grants)
        return
    config = checked({"database_url": database_url})
    if not config.database_url:
        raise Stop("migrate what? give --database-url; the embedded store migrates itself")
    _or_stop(bootstrap.migrate(config))


def backup(file: Path, data_dir: Path | None, database_url: str | None) -> None:
    if file.exists():
        raise Stop(f"{file} is there already")
    _or_stop(bootstrap.back_up(config_of(data_dir, database_url), file))


def restore(file: Path, data_dir: Path | None, database_url: str | None) -> None:
    if not file.is_file():
        raise Stop(f"{file}: there is no such file")
    _or_stop(bootstrap.bring_back(config_of(data_dir, database_url), file))


def config_of(data_dir: Path | None, database_url: str | None) -> Config:
    return checked({"data_dir": data_dir and str(data_dir), "database_url": database_url})


def _or_stop(work: Coroutine[None, None, None]) -> None:
    try:
        asyncio.run(work)
    except bootstrap.CANNOT_RESTORE as error:
        raise Stop(str(error)) from error


def said_of(serving: Serving) -> dict[str, object]:
    """What was said; None where nothing was."""
    paths = {
        "data_dir": serving.data_dir,
        "tls_cert": serving.tls_cert,
        "tls_key": serving.tls_key,
        "client_ca": serving.client_ca,
        "seal_key": serving.seal_key,
        "witness": serving.witness,
    }
    return {
        "listen": serving.listen,
        "database_url": serving.database_url,
        "workers": serving.workers,
        "insecure": serving.insecure or None,
        **{name: None if path is None else str(path) for name, path in paths.items()},
    }


def checked(said: Mapping[str, object]) -> Config:
    try:
        return configured(said)
    except BadSetting as trouble:
        raise Stop(str(trouble)) from trouble


def masked(value: str) -> str:
    """A setting without its password."""
    return PASSWORD.sub(lambda found: f"{found[1]}:***@" if found[2] is None else f"{found[2]}***", value)
