"""What is measured: in three minutes, or in 22."""

from __future__ import annotations

from .goals import CALLERS, SENDERS
from .rounds import Contest, Plan
from .shapes import BATCH, ECHO_GET, ECHO_LIST, GET, LIST, PACED, STREAM
from .sides import ALONE, CRUD, ECHO, LARGE, PAUSED, SERVICE, SMALL, STOCK, TWO

MANY = [
    Contest(ECHO, SENDERS, STREAM),
    Contest(PAUSED, SENDERS, STREAM),
    Contest(PAUSED, SENDERS, BATCH),
    Contest(SERVICE, CALLERS, PACED),
]
READS = [
    *(Contest(side, CALLERS, how) for how in (GET, LIST) for side in (SMALL, LARGE)),
    *(Contest(ECHO, CALLERS, how) for how in (ECHO_GET, ECHO_LIST)),
]
SHORT = Plan(
    rounds=2,
    seconds=0.6,
    contests=[
        *(Contest(side, 1) for side in (ECHO, SERVICE)),
        *(Contest(side, CALLERS) for side in (ECHO, PAUSED, SERVICE, STOCK, CRUD, ALONE)),
        *MANY,
        *READS,
    ],
    books={SMALL: 1_000, LARGE: 10_000},
    posted=300,
)
FULL = Plan(
    rounds=5,
    seconds=4.0,
    contests=[
        *(Contest(side, callers) for callers in (1, 64, 256) for side in (ECHO, PAUSED, SERVICE, ALONE)),
        *(Contest(side, callers) for callers in (1, 64) for side in (STOCK, CRUD)),
        *(Contest(TWO, callers) for callers in (64, 256)),
        *MANY,
        *(Contest(SERVICE, SENDERS, how) for how in (STREAM, BATCH)),
        *READS,
    ],
    books={SMALL: 10_000, LARGE: 100_000},
    posted=1_000,
)
