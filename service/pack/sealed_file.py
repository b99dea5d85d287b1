"""A ZIP that is written as a stream; at its end stand a checksum over every byte before, and a signature."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import IO, cast

from store.proof.keys import Keys

TRAILER = "daybook-pack-1 sha256={sha256} key={key} signature={signature}"
NOBODY = {"key": "0" * 64, "signature": "0" * 128}
TRAILER_BYTES = len(TRAILER.format(sha256="0" * 64, **NOBODY))
LEVEL = 6


class SealedFile:
    """Takes the parts of a pack one after the other and hands out what can be sent of it already.

    The trailer is the comment of the ZIP, so the file stays one that everything can open.
    """

    def __init__(self, keys: Keys) -> None:
        self._keys = keys
        self._whole = sha256()
        self._held = b""
        self._ready: list[bytes] = []
        self._zip = zipfile.ZipFile(cast("IO[bytes]", self), "w", zipfile.ZIP_DEFLATED, compresslevel=LEVEL)
        self._zip.comment = b"0" * TRAILER_BYTES

    def write(self, data: bytes) -> int:
        """Called by the ZIP: all but the last bytes, which may be the place of the trailer, are ready."""
        held = self._held + bytes(data)
        ready, self._held = held[:-TRAILER_BYTES], held[-TRAILER_BYTES:]
        self._whole.update(ready)
        self._ready.append(ready)
        return len(data)

    def flush(self) -> None:
        """The ZIP wants one."""

    def add(self, name: str, lines: Iterable[str]) -> Iterator[bytes]:
        """Write a part line by line, and hand out what is ready meanwhile."""
        info = zipfile.ZipInfo(name)
        info.compress_type = zipfile.ZIP_DEFLATED
        with self._zip.open(info, "w", force_zip64=True) as part:
            for line in lines:
                part.write(line.encode())
                yield from self.taken()
        yield from self.taken()

    def taken(self) -> Iterator[bytes]:
        ready, self._ready = self._ready, []
        yield from filter(None, ready)

    def end(self) -> Iterator[bytes]:
        """The rest of the ZIP, and in the place of its comment the trailer."""
        self._zip.close()
        assert self._held == b"0" * TRAILER_BYTES
        yield from self.taken()
        yield self._trailer().encode()

    def _trailer(self) -> str:
        checksum = self._whole.hexdigest()
        statement = TRAILER.partition(" key=")[0].format(sha256=checksum)
        by = {"key": self._keys.current, "signature": self._keys.signed(statement)}
        return TRAILER.format(sha256=checksum, **(by if self._keys.private else NOBODY))
