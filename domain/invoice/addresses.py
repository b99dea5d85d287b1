"""The rules of address groups: complete, each under a key of its own, and named where they are used."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from ..findings import Findings, Have, Rule, shown
from ..texts import check_free_text, check_required
from .content import AddressContent, Content
from .events import AddressGroupAssigned, Place

KEY_MAX = 80
STREET_MAX = 255
ADDRESS_GROUPS_MAX = 10_000
LATITUDE_MOST, LONGITUDE_MOST = Decimal(90), Decimal(180)
ROLES = ("billing_address", "shipping_address", "ship_from_address")

_TEXTS = (("city", 40), ("state", 80), ("postal_code", 20), ("country", 80))
_is_key = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.\-]*").fullmatch


class Groups:
    """The keys of an invoice's address groups, and the ones that its lines have where they name none."""

    __slots__ = ("_findings", "_have", "_keys", "_roles")

    def __init__(self, content: Content, findings: Findings) -> None:
        self._findings = findings
        self._keys = {group.key for group in content.address_groups if group.key}
        self._have = Have(self._keys)
        self._roles: dict[str, str] = {role: getattr(content, role) for role in ROLES}
        for role, key in self._roles.items():
            if key and key not in self._keys:
                self._unknown(key, f"invoice.{role}")

    def effective(self, own: str, role: str, path: str, *, required: bool) -> str:
        """The key that holds for a line."""
        if own:
            if own not in self._keys:
                self._unknown(own, f"{path}.{role}")
            return own
        inherited = self._roles[role]
        if not inherited and required:
            self._findings.add(f"{path}.{role}", Rule.REQUIRED)
        return inherited

    def _unknown(self, key: str, path: str) -> None:
        self._findings.add(path, Rule.NO_SUCH_ADDRESS_GROUP, value=shown(key), have=self._have)


def check_addresses(groups: Sequence[AddressContent], findings: Findings) -> tuple[AddressGroupAssigned, ...]:
    if len(groups) > ADDRESS_GROUPS_MAX:
        findings.add("invoice.address_groups", Rule.TOO_MANY, limit=ADDRESS_GROUPS_MAX, count=len(groups))
        return ()
    first: dict[str, str] = {}
    for index, group in enumerate(groups):
        path = f"invoice.address_groups[{index}]"
        _check_key(group.key, path, first, findings)
        _check_address(group, path, findings)
    return tuple(map(_assigned, groups))


def _assigned(group: AddressContent) -> AddressGroupAssigned:
    place = Place(group.street, group.city, group.postal_code, group.latitude, group.longitude)
    return AddressGroupAssigned(group.key, group.state, group.country, place)


def _check_key(key: str, path: str, first: dict[str, str], findings: Findings) -> None:
    path = f"{path}.key"
    if not key:
        findings.add(path, Rule.REQUIRED)
    elif len(key) > KEY_MAX:
        findings.add(path, Rule.TOO_LONG, limit=KEY_MAX, length=len(key))
    elif not _is_key(key):
        findings.add(path, Rule.KEY_CHARACTERS, value=shown(key))
    elif (stands := first.setdefault(key, path)) is not path:
        findings.add(path, Rule.DUPLICATE, value=shown(key), first=stands)


def _check_address(group: AddressContent, path: str, findings: Findings) -> None:
    if not group.street.strip():
        findings.add(f"{path}.street", Rule.REQUIRED)
    check_free_text(group.street, f"{path}.street", findings, STREET_MAX)
    for name, limit in _TEXTS:
        check_required(getattr(group, name), f"{path}.{name}", findings, limit)
    if group.latitude is not None or group.longitude is not None:
        _check_coordinates(group, path, findings)


def _check_coordinates(group: AddressContent, path: str, findings: Findings) -> None:
    for name, value, most in (
        ("latitude", group.latitude, LATITUDE_MOST),
        ("longitude", group.longitude, LONGITUDE_MOST),
    ):
        if value is None:
            findings.add(f"{path}.{name}", Rule.BOTH_COORDINATES)
        elif abs(value) > most:
            findings.add(f"{path}.{name}", Rule.OUT_OF_RANGE, least=-most, most=most, value=value)
