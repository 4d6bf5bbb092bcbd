"""The store: readings, pictures, corrections, review, accounts. The only package that uses SQL."""

from handigit.store.accounts import Accounts
from handigit.store.errors import (
    BadTruth,
    BrokenBackup,
    KeyReused,
    LastAdmin,
    LeaseLost,
    NameTaken,
    NotInStore,
    RetentionRefused,
    StoreBusy,
    StoreDamaged,
    StoreError,
    StoreFull,
    TooManyAttempts,
)
from handigit.store.forms import FieldChange, FormBatch, FormRecord
from handigit.store.ingest import NewPage
from handigit.store.roles import Role, Token, User
from handigit.store.statistics import Confusion, Day, ErrorCount, Statistics
from handigit.store.store import Store
from handigit.store.truth import Truth
from handigit.store.types import (
    Correction,
    Deleted,
    Filter,
    Lease,
    Order,
    Page,
    Policy,
    Provenance,
    Purpose,
    Reading,
    Waiting,
)

__all__ = [
    "Accounts",
    "BadTruth",
    "BrokenBackup",
    "Confusion",
    "Correction",
    "Day",
    "Deleted",
    "ErrorCount",
    "FieldChange",
    "Filter",
    "FormBatch",
    "FormRecord",
    "KeyReused",
    "LastAdmin",
    "Lease",
    "LeaseLost",
    "NameTaken",
    "NewPage",
    "NotInStore",
    "Order",
    "Page",
    "Policy",
    "Provenance",
    "Purpose",
    "Reading",
    "RetentionRefused",
    "Role",
    "Statistics",
    "Store",
    "StoreBusy",
    "StoreDamaged",
    "StoreError",
    "StoreFull",
    "Token",
    "TooManyAttempts",
    "Truth",
    "User",
    "Waiting",
]
