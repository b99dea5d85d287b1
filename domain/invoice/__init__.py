"""An invoice: what its sender says, the rules, what happens to it, and what it has become."""

from .content import (
    AddressContent,
    Content,
    LineContent,
    LineReferenceContent,
    ReferenceContent,
    SourceContent,
    TaxContent,
    fingerprint,
)
from .decide import (
    NOTHING,
    UPDATABLE,
    Cancel,
    Decision,
    IngestedDifferently,
    Ingest,
    MemoReference,
    NotDraft,
    NotFound,
    ReferenceOfDraft,
    Revise,
    Update,
    VersionMoved,
    cancel,
    ingest,
    revise,
    update,
)
from .events import (
    EVENTS,
    AddressGroupAssigned,
    DescriptionTexts,
    Event,
    Header,
    HeaderTexts,
    InvoiceCanceled,
    InvoiceDrafted,
    InvoicePosted,
    InvoiceRevised,
    InvoiceUpdated,
    LineAdded,
    LineReference,
    LineReferenceKind,
    LineTexts,
    Place,
    Reference,
    ReferenceKind,
    Source,
    Status,
    TaxImported,
    TaxRow,
    TaxStatus,
    TaxTexts,
)
from .rules import Checked, Limits, Rules
from .state import Invoice, Line, Settlement, Totals, evolve, fold

__all__ = [name for name in dir() if not name.startswith("_")]
