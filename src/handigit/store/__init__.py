"""The store: readings, pictures, corrections, review, accounts.

The only room that speaks SQL. It knows neither how numbers are read nor how they are served.
"""

from handigit.store.accounts import Accounts, Role, Token, User
from handigit.store.errors import BadTruth, BrokenBackup, KeyReused, LeaseLost, NameTaken, NotInStore, StoreError
from handigit.store.readings import Entry
from handigit.store.statistics import Confusion, Day, Figures, Measured
from handigit.store.store import Store
from handigit.store.types import (
    Correction,
    Deleted,
    Filter,
    Lease,
    Origin,
    Page,
    Policy,
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
    "Entry",
    "Figures",
    "Filter",
    "KeyReused",
    "Lease",
    "LeaseLost",
    "Measured",
    "NameTaken",
    "NotInStore",
    "Origin",
    "Page",
    "Policy",
    "Purpose",
    "Reading",
    "Role",
    "Store",
    "StoreError",
    "Token",
    "Truth",
    "User",
    "Waiting",
]
