"""A TCP proxy before PostgreSQL that cuts, freezes or refuses, as a network does."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType

from psycopg.conninfo import conninfo_to_dict, make_conninfo

CHUNK = 65536


class Proxy:
    """Stands between the log and its database; `cut_after` counts the bytes that may still come back."""

    def __init__(self, dsn: str) -> None:
        self._told = conninfo_to_dict(dsn)
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._nobody = asyncio.Event()
        self._nobody.set()
        self.cut_after: int | None = None
        self.cuts = 0
        self.refusing = False

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.thaw()
        self.cut()
        await self._nobody.wait()

    @property
    def dsn(self) -> str:
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        return make_conninfo(**{**self._told, "host": "127.0.0.1", "port": port, "sslmode": "disable"})

    def freeze(self) -> None:
        """Nothing comes through any more, and no connection ends."""
        self._flowing.clear()

    def thaw(self) -> None:
        self._flowing.set()

    def cut(self) -> None:
        for writer in list(self._writers):
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.refusing:
            writer.transport.abort()
            return
        path = f"{self._told['host']}/.s.PGSQL.{self._told['port']}"
        upstream_reader, upstream_writer = await asyncio.open_unix_connection(path)
        ours = {writer, upstream_writer}
        self._writers |= ours
        self._nobody.clear()
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._pass_on(reader, upstream_writer, answers=False))
                tasks.create_task(self._pass_on(upstream_reader, writer, answers=True))
        except* OSError:
            pass
        finally:
            self._writers -= ours
            for each in ours:
                each.transport.abort()
            if not self._writers:
                self._nobody.set()

    async def _pass_on(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        while data := await reader.read(CHUNK):
            await self._flowing.wait()
            if answers and self.cut_after is not None:
                data = data[: self.cut_after]
                self.cut_after -= len(data)
            writer.write(data)
            if answers and self.cut_after == 0:
                await self._end(writer)
            await writer.drain()
        raise ConnectionResetError

    async def _end(self, writer: asyncio.StreamWriter) -> None:
        self.cut_after = None
        self.cuts += 1
        with contextlib.suppress(OSError):
            await writer.drain()
        raise ConnectionResetError
