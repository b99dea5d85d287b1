"""Ids that follow from business keys, so that the same thing always gets the same stream."""

from __future__ import annotations

from uuid import UUID, uuid5

NAMESPACE = UUID("0d7a3c52-6a0e-5c1b-9c3e-da7b00c0ffee")  # never changed: every stream's id hangs on it
UNIX_MILLIS_BITS = 48


def invoice(unique_identifier: str) -> UUID:
    """The id of the invoice with this key; the key is taken exactly, case and spaces included."""
    return uuid5(NAMESPACE, f"invoice:{unique_identifier}")


def debit_memo(unique_identifier: str) -> UUID:
    """The id of the debit memo with this key; the key is taken exactly, case and spaces included."""
    return uuid5(NAMESPACE, f"memo:{unique_identifier}")


def credit_memo(invoice_id: UUID, ordinal: int) -> UUID:
    """The id of the n-th credit memo that is made of an invoice."""
    return uuid5(NAMESPACE, f"credit:{invoice_id}:{ordinal}")


def credit_application(memo_id: UUID, ordinal: int) -> UUID:
    """The id of the n-th application of a credit memo."""
    return uuid5(NAMESPACE, f"application:{memo_id}:{ordinal}")


def payment(invoice_id: UUID, request_id: str) -> UUID:
    """The id of the payment of an invoice that this request recorded."""
    return uuid5(NAMESPACE, f"payment:{invoice_id}:{request_id}")


def number(legal_entity_id: str, text: str) -> UUID:
    """The stream in which a business number of a legal entity is claimed."""
    return uuid5(NAMESPACE, f"number:{len(legal_entity_id)}:{legal_entity_id}:{text}")


def series(policy_id: str, period: str) -> UUID:
    """The stream of a series, whose n-th event gives its n-th number."""
    return uuid5(NAMESPACE, f"series:{len(policy_id)}:{policy_id}:{period}")


def sequence(policy_id: str) -> UUID:
    """The stream of a sequence policy's series: which have begun, and with what."""
    return uuid5(NAMESPACE, f"sequence:{policy_id}")


def reference(kind: str, entry_id: str) -> UUID:
    """The stream of one entry of reference data."""
    return uuid5(NAMESPACE, f"reference:{kind}:{entry_id}")


REFERENCE_HEAD = uuid5(NAMESPACE, "reference")  # its version counts the applications of reference data


def uuid7(millis: int, random: bytes) -> UUID:
    """A time-ordered id (RFC 9562, version 7) from a Unix time in milliseconds and ten random bytes."""
    value = int.from_bytes((millis % (1 << UNIX_MILLIS_BITS)).to_bytes(6, "big") + random[:10], "big")
    value = value & ~(0xF << 76) | (0x7 << 76)
    value = value & ~(0x3 << 62) | (0x2 << 62)
    return UUID(int=value)
