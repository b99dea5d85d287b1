"""`daybook feed`: what happens, as JSON lines."""

from __future__ import annotations

import json
import sys

from daybook.client import connect
from daybook.feed import batches
from daybook.v1.audit_service_pb2 import EventFilter

from .audit_verbs import Chosen
from .options import Service
from .printing import print_json


def feed(service: Service, chosen: Chosen, after: str, *, until_now: bool, tokens: bool) -> None:
    wanted = EventFilter(types=chosen.type_, account_ids=chosen.account, order_ids=chosen.order)
    with connect(service.server, service.tls()) as channel:
        for batch in batches(channel, after, wanted):
            for event in batch.events:
                print_json(event)
            if tokens and batch.token:
                print(json.dumps({"resumeToken": batch.token}))
            sys.stdout.flush()
            if until_now and batch.caught_up:
                return
