"""What a call says of itself: who, why, and until when."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import grpc

from domain.findings import Findings, Malformed
from domain.texts import TEXT_MAX, check_text
from store.log import Meta, Who

from .interceptors.outermost import budget

ACTOR = "daybook-actor"
TRACE = "traceparent"
STORE_MARGIN = 0.03  # seconds kept back, so that the store answers before the call's time is over


@dataclass(frozen=True, slots=True)
class Callers:
    """Tells who calls: proven by certificate, else claimed in the metadata, else the server's own user."""

    local_user: str
    proven: bool = False  # whether callers show certificates

    def who(self, context: grpc.aio.ServicerContext[Any, Any], claimed: str) -> Who:
        if self.proven and (name := _certified(context.auth_context())):
            return Who("mtls", name)
        return Who("claimed", claimed) if claimed else Who("local", self.local_user)

    def meta(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        reason: str = "",
        correlation_id: str = "",
        findings: Findings | None = None,
    ) -> Meta:
        """What goes beside the events. What is wrong with it is told with the rest, where there is a rest."""
        return self.caller(context).meta(reason, correlation_id, findings)

    def caller(self, context: grpc.aio.ServicerContext[Any, Any]) -> Caller:
        actor = trace = ""
        for key, value in context.invocation_metadata() or ():
            if key == ACTOR:
                actor = _text(value)
            elif key == TRACE:
                trace = _text(value)
        return Caller(self.who(context, actor), actor, trace[:TEXT_MAX])


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a call comes from, for all that is asked in it."""

    who: Who
    claimed: str
    trace: str

    def meta(self, reason: str, correlation_id: str, findings: Findings | None = None) -> Meta:
        """What goes beside the events of one thing asked for."""
        together = f"{self.claimed}{reason}{correlation_id}"
        if len(together) > TEXT_MAX or not together.isprintable():  # else nothing can be wrong with them
            texts = ((ACTOR, self.claimed), ("reason", reason), ("correlation_id", correlation_id))
            _check_texts(texts, findings)
        return Meta(self.who, correlation=correlation_id, reason=reason, trace=self.trace)


def _text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode("utf-8", "replace")


def _certified(auth: Any) -> str:
    names = auth.get("x509_subject_alternative_name") or auth.get("x509_common_name") or ()
    return _text(names[0])[:TEXT_MAX] if names else ""


def _check_texts(texts: Iterable[tuple[str, str]], told_later: Findings | None = None) -> None:
    findings = Findings() if told_later is None else told_later
    for path, value in texts:
        check_text(value, path, findings)
    if findings and told_later is None:
        raise Malformed(findings)


def deadline(context: grpc.aio.ServicerContext[Any, Any]) -> float:
    """The instant, by the loop's clock, until which the store may take."""
    return asyncio.get_running_loop().time() + max(0.0, budget(context) - STORE_MARGIN)
