"""The ceiling: the same message over the same wire, answered as it came, with no work at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from .serving import Request, arguments, run, serve


async def echo(request: Request, _: Any) -> Request:
    return request


async def echo_each(requests: AsyncIterator[Any], _: Any) -> AsyncIterator[Any]:
    async for each in requests:
        yield each


def main(listen: str) -> None:
    run(lambda: serve(listen, echo, Request.SerializeToString, echo_each))


if __name__ == "__main__":
    main(*arguments())
