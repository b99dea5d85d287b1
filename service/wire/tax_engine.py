"""What engines elsewhere are asked and what they say, between their contract and the domain."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import NoReturn, cast

from google.protobuf.message import DecodeError
from google.type.decimal_pb2 import Decimal as WireDecimal

from daybook.tax.v1 import tax_engine_service_pb2 as pb
from domain import invoice, money, tax
from domain.findings import Findings, Malformed
from domain.texts import TEXT_MAX, check_text

from .values import EnumTable, read_date, read_decimal, write_date, write_decimal

TRANSACTION_TYPES = EnumTable(pb.TransactionType, tax.TransactionType, "TRANSACTION_TYPE")
METHOD = "/daybook.tax.v1.TaxEngineService/CalculateTax"
VOID = "/daybook.tax.v1.TaxEngineService/VoidTax"


def written(request: tax.Request) -> bytes:
    """The bytes of a request, the same for the same request."""
    kind = TRANSACTION_TYPES.wire[request.transaction_type]
    return pb.CalculateTaxRequest(
        document_code=request.document_code,
        tax_type=pb.TAX_TYPE_ACTUAL if request.commit else pb.TAX_TYPE_ESTIMATED,
        commit=request.commit,
        transaction_type=cast(pb.TransactionType.ValueType, kind),
        transaction_date=write_date(request.transaction_date),
        effective_date=write_date(request.effective_date),
        currency_code=request.currency,
        seller_code=request.seller_code,
        legal_entity_id=request.legal_entity_id,
        account_id=request.account_id,
        lines=map(_line, request.lines),
    ).SerializeToString(deterministic=True)


def written_void(document_code: str) -> bytes:
    return pb.VoidTaxRequest(document_code=document_code).SerializeToString(deterministic=True)


def read_void(engine_id: str, document_code: str, body: bytes) -> str:
    """The code that was voided. Raises EngineFailed where the engine speaks of another."""
    try:
        said = pb.VoidTaxResponse.FromString(body).document_code
    except DecodeError:
        said = ""
    if said != document_code:
        because = f"asked to void {document_code}, it answered {said!r:.80}"
        raise invoice.EngineFailed(engine_id, invoice.FailureCode.NONSENSE, because)
    return said


def _line(line: tax.Line) -> pb.TaxLine:
    return pb.TaxLine(
        line_number=line.number,
        amount=write_decimal(line.amount),
        quantity=write_decimal(line.quantity),
        unit_price=write_decimal(line.unit_price),
        tax_code=line.tax_code,
        product_code=line.product_code,
        product_id=line.product_id,
        description=line.name,
        addresses=pb.Addresses(
            ship_to=_address(line.ship_to),
            ship_from=_address(line.ship_from) if line.ship_from else None,
            bill_to=_address(line.bill_to),
        ),
    )


def _address(place: tax.Place) -> pb.Address:
    return pb.Address(
        street=place.street,
        city=place.city,
        state=place.state,
        postal_code=place.postal_code,
        country=place.country,
        latitude=None if place.latitude is None else write_decimal(place.latitude),
        longitude=None if place.longitude is None else write_decimal(place.longitude),
    )


def read(body: bytes, request: tax.Request) -> tax.Answer:
    """What an engine says. Raises EngineFailed where it makes no sense as an answer to this request."""
    reader = _Reader(request)
    try:
        message = pb.CalculateTaxResponse.FromString(body)
    except DecodeError:
        reader.nonsense("the answer's bytes are not its message")
    if message.document_code != request.document_code:
        reader.nonsense(f"asked about {request.document_code}, it answered {message.document_code!r:.80}")
    if message.currency_code != request.currency:
        reader.nonsense(f"asked in {request.currency}, it answered in {message.currency_code!r:.80}")
    return tax.Answer(
        reader.text(message.engine_version, "engine_version"),
        tuple(reader.lines(message.lines)),
    )


class _Reader:
    """Reads one answer."""

    def __init__(self, request: tax.Request) -> None:
        self._engine_id = request.engine_id
        self._codes = {line.number: line.tax_code for line in request.lines}

    def nonsense(self, because: str) -> NoReturn:
        raise invoice.EngineFailed(self._engine_id, invoice.FailureCode.NONSENSE, because)

    def lines(self, messages: Iterable[pb.TaxedLine]) -> Iterable[tax.EstimatedLine]:
        for message in messages:
            number = message.line_number
            if number not in self._codes:
                self.nonsense(f"it answered for line {number}, which it was not asked about")
            rows = tuple(self._row(each, f"line {number}") for each in message.taxes)
            yield tax.EstimatedLine(number, self._codes[number], rows)

    def _row(self, message: pb.Tax, at: str) -> tax.EstimatedRow:
        name = self.text(message.imposition.name, f"imposition.name on {at}")
        if not name.strip():
            self.nonsense(f"no imposition.name on {at}")
        exempt = self._decimal(message.exempt_amount, at) if message.HasField("exempt_amount") else None
        return tax.EstimatedRow(
            amount=self._decimal(message.amount, f"amount on {at}"),
            rate=self._decimal(message.rate, f"rate on {at}"),
            name=name,
            taxable_amount=self._decimal(message.taxable_amount, f"taxable_amount on {at}"),
            basis=tax.RowBasis.ENGINE,
            exempt_amount=exempt or None,
            exempt_reason=self.text(message.exempt_reason, f"exempt_reason on {at}"),
            transaction_number=self.text(message.tax_id, f"tax_id on {at}"),
            imposition_type=self.text(message.imposition.type, f"imposition.type on {at}"),
            jurisdiction=self._jurisdiction(message.jurisdiction, at)
            if message.HasField("jurisdiction")
            else None,
        )

    def _jurisdiction(self, message: pb.Jurisdiction, at: str) -> tax.Jurisdiction:
        said = (message.country, message.level, message.name, message.region, message.id)
        return tax.Jurisdiction(*(self.text(each, f"jurisdiction on {at}") for each in said))

    def _decimal(self, message: WireDecimal, at: str) -> Decimal:
        try:
            return money.decimal(message.value)
        except money.NotDecimal as fault:
            self.nonsense(f"{at}: {fault}")

    def text(self, value: str, at: str) -> str:
        findings = Findings()
        check_text(value, at, findings, TEXT_MAX)
        for finding in findings:
            self.nonsense(f"{at}: {finding}")
        return value


# The other side, for the engine that comes with the house


def read_request(message: pb.CalculateTaxRequest) -> tax.Request:
    findings = Findings()
    effective = read_date(message.effective_date, "effective_date", findings)
    transaction = read_date(message.transaction_date, "transaction_date", findings)
    lines = tuple(_read_line(each, f"lines[{n}]", findings) for n, each in enumerate(message.lines))
    kind = TRANSACTION_TYPES.read(message.transaction_type, "transaction_type", findings)
    if findings or effective is None or transaction is None:
        raise Malformed(findings)
    return tax.Request(
        engine_id="",
        document_code=message.document_code,
        transaction_type=cast(tax.TransactionType, kind or tax.TransactionType.DEBIT),
        transaction_date=transaction,
        effective_date=effective,
        currency=message.currency_code,
        legal_entity_id=message.legal_entity_id,
        account_id=message.account_id,
        seller_code=message.seller_code,
        lines=lines,
    )


def _read_line(message: pb.TaxLine, path: str, findings: Findings) -> tax.Line:
    said = (message.amount, message.quantity, message.unit_price)
    names = ("amount", "quantity", "unit_price")
    read = (read_decimal(each, f"{path}.{name}", findings) for name, each in zip(names, said, strict=True))
    amount, quantity, unit_price = (each or money.ZERO for each in read)
    addresses = message.addresses
    return tax.Line(
        number=message.line_number,
        amount=amount,
        quantity=quantity,
        unit_price=unit_price,
        tax_code=message.tax_code,
        product_code=message.product_code,
        product_id=message.product_id,
        name=message.description,
        ship_to=tax.Place(state=addresses.ship_to.state, country=addresses.ship_to.country),
        bill_to=tax.Place(state=addresses.bill_to.state, country=addresses.bill_to.country),
    )


def write_answer(request: tax.Request, answer: tax.Answer) -> pb.CalculateTaxResponse:
    return pb.CalculateTaxResponse(
        document_code=request.document_code,
        currency_code=request.currency,
        engine_version=answer.engine_version,
        lines=(pb.TaxedLine(line_number=line.number, taxes=map(_tax, line.rows)) for line in answer.lines),
    )


def _tax(row: tax.EstimatedRow) -> pb.Tax:
    return pb.Tax(
        amount=write_decimal(row.amount),
        rate=write_decimal(row.rate),
        taxable_amount=write_decimal(row.taxable_amount),
        tax_id=row.rate_id,
        imposition=pb.Imposition(type=row.basis.value, name=row.name),
    )
