"""Tax engines, treatments and rates between the contract and the domain."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import cast

from daybook.v1 import reference_data_service_pb2 as pb
from domain import reference
from domain.findings import Findings, Rule

from .entry_status import read_entry_status, write_entry_status
from .values import EnumTable, read_date, read_decimal, within, write_date, write_decimal

ENGINE_TYPES = EnumTable(pb.TaxEngineType, reference.EngineType, "TAX_ENGINE_TYPE")
BASES = EnumTable(pb.TaxBasis, reference.Basis, "TAX_BASIS")


def read_engine(message: pb.TaxEngine, path: str, findings: Findings) -> reference.TaxEngine:
    kind = ENGINE_TYPES.read(message.type, f"{path}.type", findings)
    if kind is None:
        findings.add(f"{path}.type", Rule.REQUIRED)
    return reference.TaxEngine(
        message.id,
        message.name,
        cast(reference.EngineType, kind or reference.EngineType.RATE_TABLE),
        message.endpoint,
        message.tls,
        message.seller_code,
        message.timeout_ms,
        read_entry_status(message.status, path, findings),
    )


def read_treatment(message: pb.TaxTreatment, path: str, findings: Findings) -> reference.TaxTreatment:
    return reference.TaxTreatment(
        message.id,
        message.name,
        message.taxable,
        message.tax_code,
        message.product_code,
        read_entry_status(message.status, path, findings),
        message.engine_id,
        tuple(
            reference.TreatmentItem(each.product_id, each.tax_code, each.product_code)
            for each in within(message.items, reference.ITEMS_MAX, f"{path}.items", findings)
        ),
    )


def read_rate(message: pb.TaxRate, path: str, findings: Findings) -> reference.TaxRate:
    basis = BASES.read(message.basis, f"{path}.basis", findings)
    return reference.TaxRate(
        id=message.id,
        name=message.name,
        tax_code=message.tax_code,
        country=message.country,
        percentage=_decimal(message, "percentage", path, findings),
        flat_amount=_decimal(message, "flat_amount", path, findings),
        basis=cast(reference.Basis, basis or reference.Basis.GROSS),
        priority=message.priority if message.HasField("priority") else None,
        state=message.state,
        product_code=message.product_code,
        legal_entity_id=message.legal_entity_id,
        currency=message.currency_code,
        start_date=_date(message, "start_date", path, findings),
        end_date=_date(message, "end_date", path, findings),
    )


def _decimal(message: pb.TaxRate, name: str, path: str, findings: Findings) -> Decimal | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_decimal(getattr(message, name), f"{path}.{name}", findings)


def _date(message: pb.TaxRate, name: str, path: str, findings: Findings) -> date | None:
    if not message.HasField(name):  # type: ignore[arg-type]
        return None
    return read_date(getattr(message, name), f"{path}.{name}", findings)


def write_engine(engine: reference.TaxEngine) -> pb.TaxEngine:
    return pb.TaxEngine(
        id=engine.id,
        name=engine.name,
        type=cast(pb.TaxEngineType.ValueType, ENGINE_TYPES.wire[engine.type]),
        endpoint=engine.endpoint,
        tls=engine.tls,
        seller_code=engine.seller_code,
        timeout_ms=engine.timeout_ms,
        status=write_entry_status(engine.status),
    )


def write_treatment(treatment: reference.TaxTreatment) -> pb.TaxTreatment:
    return pb.TaxTreatment(
        id=treatment.id,
        name=treatment.name,
        taxable=treatment.taxable,
        tax_code=treatment.tax_code,
        product_code=treatment.product_code,
        status=write_entry_status(treatment.status),
        engine_id=treatment.engine_id,
        items=(
            pb.TaxTreatmentItem(
                product_id=each.product_id, tax_code=each.tax_code, product_code=each.product_code
            )
            for each in treatment.items
        ),
    )


def write_rate(rate: reference.TaxRate) -> pb.TaxRate:
    return pb.TaxRate(
        id=rate.id,
        name=rate.name,
        tax_code=rate.tax_code,
        country=rate.country,
        percentage=None if rate.percentage is None else write_decimal(rate.percentage),
        flat_amount=None if rate.flat_amount is None else write_decimal(rate.flat_amount),
        basis=cast(pb.TaxBasis.ValueType, BASES.wire[rate.basis]),
        priority=rate.priority,
        state=rate.state,
        product_code=rate.product_code,
        legal_entity_id=rate.legal_entity_id,
        currency_code=rate.currency,
        start_date=write_date(rate.start_date) if rate.start_date else None,
        end_date=write_date(rate.end_date) if rate.end_date else None,
    )
