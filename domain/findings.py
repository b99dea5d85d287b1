"""What is wrong with a request: every finding names the field, the rule and what would be right."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from heapq import nsmallest

SHOWN_MAX = 80  # characters of a caller's own text that a finding repeats
LISTED_MAX = 12  # names that would have been right
KEPT_MAX = 1_000  # findings of a request that are told
COUNTED_MAX = 100_000  # findings of a request after which nobody looks further


class Rule(Enum):
    """The rules of the book; the name is stable, the value is what a finding says."""

    REQUIRED = "required, and not set"
    UNKNOWN_FIELD = "unknown field {field}; nothing of it was understood"
    TOO_LONG = "at most {limit} characters; has {length}"
    TOO_MANY = "at most {limit}; has {count}"
    CHARACTERS = "control characters and lone surrogates are not allowed"
    KEY_CHARACTERS = "letters, digits, '_', '-' and '.' only, beginning with a letter or digit; is {value}"
    DECIMAL = "a decimal number such as 1234.50, of at most 40 characters and without exponent; is {value}"
    TOO_FINE = "at most {limit} decimals; has {count}"
    TOO_LARGE = "at most {limit} digits before the decimal point"
    TOTAL_TOO_LARGE = (
        "the amounts, without their signs, come to more than {limit} digits before the decimal point"
    )
    FINER_THAN_CURRENCY = "{currency} has {decimals} decimals and nothing is rounded; is {value}"
    OUT_OF_RANGE = "between {least} and {most}; is {value}"
    DATE = "a full calendar date with year, month and day; is {value}"
    INSTANT = "seconds and nanoseconds of an instant in the years 1 to 9999; is {value}"
    HEX_TEXT = "32 bytes as 64 hex digits, in small letters; is {value}"
    UUID_TEXT = "a UUID such as 6f1f7a0e-6d0c-5b0a-8f0e-2b7d3c1a9e55; is {value}"
    ENUM = "one of {have}; is {value}"
    POSITION = "a position answered by this service; is {value}"
    PAGE_TOKEN = "a page token answered for the same filter; is {value}"
    EDITION_NAME = "1 to 24 small letters and digits, such as 20261231; is {value}"
    NO_VERSION = "an instant or a position: only an invoice has versions"
    EITHER = "left out: it and {other} exclude each other"
    MASK = "no field {field} (have: {have})"
    CURRENCY = "an ISO 4217 code in capitals, such as EUR; is {value}"
    TIME_ZONE = "an IANA time zone such as Europe/Berlin; is {value}"
    DUPLICATE = "{value} stands here already, at {first}"
    ENDS_BEFORE_START = "not before {start}; is {end}"
    NO_SUCH_ADDRESS_GROUP = "no address group {value} in this invoice (have: {have})"
    NO_SUCH_ENTRY = "no {kind} {value} (have: {have})"
    NOT_ACTIVE = "{kind} {value} is {status}; only an active one can be used"
    NO_DEFAULT = "not set, and the settings have no default {kind}"
    NO_DUE_DATE = "needed: there is no payment term to work it out from, named or by default"
    AFTER_TODAY = "not after {today}, today's date where the legal entity is; is {value}"
    NOT_POSITIVE = "more than zero; is {value}"
    DUE_DATE_NOT_FUTURE = "after {today}, where there is no payment term, named or by default; is {value}"
    LINES_REQUIRED = "at least one line"
    DRAFT_OR_POSTED = "an invoice is ingested as draft or posted; is {value}"
    STAYS_DRAFT = "a revised invoice stays a draft; is {value}"
    POSTED_DATE_ON_DRAFT = "only on a posted invoice"
    TAX_POSTED_ON_DRAFT = "pending or estimated on a draft; is posted"
    TAX_NOT_POSTED = "posted on a posted invoice; is {value}"
    CALCULATE_ON_POSTED = "not on a posted invoice: it brings its taxes"
    TAX_ROWS_WHILE_PENDING = "none while the invoice's tax is pending; has {count}"
    TAX_ROW_MISSING = "at least one on a taxable line of a posted invoice (treatment {treatment})"
    TAX_ROW_ON_NONTAXABLE = (
        "none on a nontaxable line of a posted invoice (treatment {treatment}); has {count}"
    )
    NUMBER_MISSING = "a posted invoice brings its number"
    MIXED_LEGAL_ENTITY = "one invoice, one legal entity: {expected}; is {value}"
    WRONG_LEGAL_ENTITY = "accounting period {value} belongs to {owner}, the invoice to {expected}"
    PERIOD_CLOSED = "accounting period {value} is closed"
    PERIODS_OVERLAP = "overlaps accounting period {other} of the same legal entity ({start} to {end})"
    KIND_NAME = "set for the kind OTHER, and only for it"
    ID_OR_ORDER = "an id with its kind, an order_id, or both"
    NO_SUCH_MEMO = "no {kind} {value} in this book"
    MEMO_STAYS_DRAFT = "the invoice of a debit memo is a draft at first; is {value}"
    MEMO_BRINGS = "none: they come from debit memo {memo}"
    MEMO_DIFFERS = "left out, or as debit memo {memo} has it: {expected}; is {value}"
    MEMO_STAYS = "a revision neither takes a debit memo nor leaves one: {expected}; is {value}"
    BOTH_COORDINATES = "latitude and longitude go together"
    PERCENT_OR_FLAT = "a percentage or a flat amount, and not both"
    COUNTRY = "an ISO 3166 code of two capitals, such as DE; is {value}"
    ENDPOINT = "HOST:PORT, such as tax.example.com:443, on a remote engine, and only there; is {value}"
    NAMES_ENGINE = "none on a nontaxable treatment; is {value}"
    PATTERN = (
        "text with {{SequenceValue}} once, and perhaps dates such as {{Date:YYYY}} or {{Date:MM-YYYY}};"
        " is {value}"
    )
    RESTART_WITHOUT_DATE = "with {shows} in it, as the sequence restarts {restart}"
    SAME_PATTERN = "one that no other sequence policy of the legal entity has; {value} is that of {other}"
    SERIES_BEGUN = "as it was when the first number was given: {expected}; is {value}"
    DRY_RUN_ONLY = "only with validate_only"
    SET_FOR_ALL = "set once, for the whole batch"
    STILL_USED = "{kind} {value} cannot go: {user} names it"
    UNIQUE_IDENTIFIER_DIFFERS = "the invoice has {expected}; is {value}"
    NOT_CHANGEABLE = "only {have} can be changed; is {value}"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    path: str
    rule: Rule
    facts: Mapping[str, str]

    def __str__(self) -> str:
        return self.rule.value.format(**self.facts)


def shown(value: object) -> str:
    """A caller's text as a finding repeats it: quoted, short, printable."""
    text = str(value)
    quoted = repr(text[:SHOWN_MAX])
    return quoted if len(text) <= SHOWN_MAX else f"{quoted}…"


def listed(names: Iterable[str], most: int = LISTED_MAX) -> str:
    """Names that would have been right, as a finding lists them."""
    have = nsmallest(most + 1, filter(None, names))
    if not have:
        return "none"
    return ", ".join(name[:SHOWN_MAX] for name in have[:most]) + (", …" if len(have) > most else "")


class Have:
    """Names that would have been right, put into words once, and only when a finding needs them."""

    def __init__(self, names: Iterable[str]) -> None:
        self._names = names
        self._words = ""

    def __str__(self) -> str:
        self._words = self._words or listed(self._names)
        return self._words


class Findings:
    """Collects findings; the first one about a path keeps later ones from repeating it.

    Keeps the first `KEPT_MAX` and counts on to `COUNTED_MAX`; what is `full` need not be looked at further.
    """

    __slots__ = ("_kept", "_paths")

    def __init__(self, kept: Iterable[Finding] = (), paths: Iterable[str] = ()) -> None:
        self._kept = list(kept)
        self._paths = set(paths)

    def copy(self) -> Findings:
        return Findings(self._kept, self._paths)

    def add(self, path: str, rule: Rule, **facts: object) -> None:
        if self.full or path in self._paths:
            return
        self._paths.add(path)
        if len(self._kept) < KEPT_MAX:
            self._kept.append(Finding(path, rule, {name: str(value) for name, value in facts.items()}))

    @property
    def count(self) -> int:
        """How many there are, whether kept or not."""
        return len(self._paths)

    @property
    def full(self) -> bool:
        return len(self._paths) >= COUNTED_MAX

    def __contains__(self, path: str) -> bool:
        return path in self._paths

    def __iter__(self) -> Iterator[Finding]:
        return iter(self._kept)

    def __bool__(self) -> bool:
        return bool(self._paths)


class Malformed(Exception):
    """A request breaks rules that need nothing but the request and the reference data to see."""

    def __init__(self, findings: Findings) -> None:
        self.findings = tuple(findings)
        self.count = findings.count
        first = self.findings[0]
        super().__init__(f"{self.count} findings, first: {first.path}: {first}")
