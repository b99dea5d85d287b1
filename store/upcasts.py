"""Yesterday's payloads, read today: (stored name, version) -> what makes its data the next version's."""

from __future__ import annotations

from typing import Any

from .codec import Upcast


def as_it_is(data: dict[str, Any]) -> dict[str, Any]:
    """The next version only adds what may be left out."""
    return data


UPCASTS: dict[tuple[str, int], Upcast] = {
    ("InvoicePosted", 1): as_it_is,  # the series of its number
    ("SettingsSet", 1): as_it_is,  # whether negative lines are converted
    ("SettingsSet", 2): as_it_is,  # whether posting requires a number
    ("TaxTreatmentSet", 1): as_it_is,  # engine and items of products
}
