"""The store: readings, pictures, corrections, review, accounts.

The only room that speaks SQL. It knows neither how numbers are read nor how they are served.
"""

from handigit.store.accounts import Accounts, Role, Token, User
from handigit.store.errors import BadTruth, BrokenBackup, KeyReused, LeaseLost, NameTaken, NotInStore, StoreError
from handigit.store.readings import NewPage
from handigit.store.statistics import Confusion, Day, ErrorCount, Statistics
from handigit.store.store import Store
from handigit.store.types import (
    Correction,
    Deleted,
    Filter,
    Lease,
    Page,
    Policy,
    Provenance,
    Purpose,
    Reading,
    Truth,
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
    "Filter",
    "KeyReused",
    "Lease",
    "LeaseLost",
    "NameTaken",
    "NewPage",
    "NotInStore",
    "Page",
    "Policy",
    "Provenance",
    "Purpose",
    "Reading",
    "Role",
    "Statistics",
    "Store",
    "StoreError",
    "Token",
    "Truth",
    "User",
    "Waiting",
]
