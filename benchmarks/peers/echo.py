"""The ceiling: the same message over the same wire, answered as it came, with no work at all."""

from __future__ import annotations

from typing import Any

from .serving import Request, arguments, run, serve


async def echo(request: Request, _: Any) -> Request:
    return request


def main(listen: str) -> None:
    run(lambda: serve(listen, echo, Request.SerializeToString))


if __name__ == "__main__":
    main(*arguments())
