"""The tax rates of a book, arranged so that those of a line are found without looking at the others."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from operator import attrgetter

from .entries import TaxRate

MET_MAX = 10_000  # criteria of lines that a place remembers
SCANNED_MAX = 8  # rates that differ in nothing but their dates; beyond, they are arranged by date

Place = tuple[str, str]  # tax code and country, which no rate leaves blank
Criteria = tuple[str, str, str, str]  # state, product code, legal entity, currency; blank: any
Mask = tuple[bool, bool, bool, bool]

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Rated:
    """A rate, where it was recorded first, and the version of its own history that it is."""

    rate: TaxRate
    age: int
    version: int

    @property
    def order(self) -> tuple[bool, int, int]:
        """By priority, those without one last; then by age."""
        priority = self.rate.priority
        return priority is None, priority or 0, self.age

    @property
    def place(self) -> Place:
        return self.rate.tax_code, self.rate.country

    @property
    def criteria(self) -> Criteria:
        rate = self.rate
        return rate.state.casefold(), rate.product_code, rate.legal_entity_id, rate.currency


_order = attrgetter("order")


class RateTable:
    """All rates; never changed, only followed by the next. A place is arranged when it is first asked for."""

    __slots__ = ("_arranged", "_at", "_rates")

    def __init__(
        self,
        rates: Mapping[str, Rated],
        at: Mapping[Place, frozenset[str]],
        arranged: dict[Place, _Place],
    ) -> None:
        self._rates = rates
        self._at = at
        self._arranged = arranged

    def __len__(self) -> int:
        return len(self._rates)

    def get(self, rate_id: str) -> Rated | None:
        return self._rates.get(rate_id)

    def by_age(self) -> list[TaxRate]:
        """All rates, as they were first recorded."""
        return [rated.rate for rated in sorted(self._rates.values(), key=attrgetter("age"))]

    def changed(self, changes: Mapping[str, Rated | None]) -> RateTable:
        """The table after these rates were set or, None, removed; this one stays."""
        rates, at = dict(self._rates), dict(self._at)
        gone: dict[Place, set[str]] = {}
        new: dict[Place, set[str]] = {}
        for rate_id, rated in changes.items():
            if before := rates.pop(rate_id, None):
                gone.setdefault(before.place, set()).add(rate_id)
            if rated is not None:
                rates[rate_id] = rated
                new.setdefault(rated.place, set()).add(rate_id)
        for place in gone.keys() | new.keys():
            at[place] = at.get(place, frozenset()) - gone.get(place, set()) | new.get(place, set())
        kept = {place: by for place, by in self._arranged.items() if place not in gone and place not in new}
        return RateTable(rates, at, kept)

    def matching(self, tax_code: str, country: str, criteria: Criteria, day: date) -> list[Rated]:
        """The rates for a line, in the order in which they apply. A blank tax code or country has none."""
        place = tax_code, country
        arranged = self._arranged.get(place)
        if arranged is None:
            if place not in self._at:
                return []
            arranged = self._arranged[place] = _Place(self._rates[rate_id] for rate_id in self._at[place])
        found = [rated for dated in arranged.meeting(criteria) for rated in dated.on(day)]
        if len(found) > 1:
            found.sort(key=_order)
        return found


NO_RATES = RateTable({}, {}, {})


def table(rates: Iterable[TaxRate]) -> RateTable:
    """A table of rates in this order, as if recorded so."""
    return NO_RATES.changed({rate.id: Rated(rate, age, 0) for age, rate in enumerate(rates, 1)})


class _Place:
    """The rates of one tax code and country, by which criteria they set and to what."""

    __slots__ = ("_by_mask", "_met")

    def __init__(self, rates: Iterable[Rated]) -> None:
        alike: dict[Criteria, list[Rated]] = {}
        for rated in rates:
            alike.setdefault(rated.criteria, []).append(rated)
        self._by_mask: dict[Mask, dict[Criteria, _Dated]] = {}
        for criteria, those in alike.items():
            state, product, entity, currency = map(bool, criteria)
            self._by_mask.setdefault((state, product, entity, currency), {})[criteria] = _Dated(those)
        self._met: dict[Criteria, list[_Dated]] = {}

    def meeting(self, criteria: Criteria) -> list[_Dated]:
        """The rates whose criteria a line meets, whatever the day; remembered."""
        met = self._met.get(criteria)
        if met is None:
            if len(self._met) >= MET_MAX:
                self._met.clear()
            met = self._met[criteria] = list(self._meeting(*criteria))
        return met

    def _meeting(self, state: str, product: str, entity: str, currency: str) -> Iterator[_Dated]:
        for mask, by_criteria in self._by_mask.items():
            wanted = (
                state if mask[0] else "",
                product if mask[1] else "",
                entity if mask[2] else "",
                currency if mask[3] else "",
            )
            if dated := by_criteria.get(wanted):
                yield dated


class _Dated:
    """Rates that differ in nothing but their dates."""

    __slots__ = ("_rates", "_spans", "_turns")

    def __init__(self, rates: list[Rated]) -> None:
        self._rates = rates
        self._turns: list[date] = []
        self._spans: dict[int, list[Rated]] = {}
        if len(rates) > SCANNED_MAX:
            self._turns = sorted({turn for each in rates for turn in _turns(each.rate)})

    def on(self, day: date) -> list[Rated]:
        """Those valid on the day. Between two turns the answer is the same, and remembered."""
        if not self._turns:
            return [each for each in self._rates if _valid(each.rate, day)]
        span = bisect_right(self._turns, day)
        found = self._spans.get(span)
        if found is None:
            found = self._spans[span] = [each for each in self._rates if _valid(each.rate, day)]
        return found


def _turns(rate: TaxRate) -> Iterator[date]:
    """The days from which on something changes."""
    if rate.start_date is not None:
        yield rate.start_date
    if rate.end_date is not None:
        yield rate.end_date + _DAY


def _valid(rate: TaxRate, day: date) -> bool:
    """From the start to the end, both included; what is blank is open."""
    start, end = rate.start_date, rate.end_date
    return (start is None or start <= day) and (end is None or day <= end)
