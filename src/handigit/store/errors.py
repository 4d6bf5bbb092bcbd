"""Errors that the store raises.

StoreError               a database or a picture folder that cannot be used
├── StoreBusy            another writer held the write lock for too long; try again
├── StoreFull            the disk has no room left
├── StoreDamaged         the database file is corrupt, or no longer the file that was opened
├── NotInStore           no reading, correction, lease, user or token with that id or name
├── BadTruth             a correction that is not a number
├── KeyReused            an idempotency key that was used for another decision
├── LeaseLost            an item that another reviewer holds now
├── NameTaken            a name that a user or token has already
├── LastAdmin            a change that would leave no admin
├── TooManyAttempts      sign-ins to one account that failed too often
├── RetentionRefused     a deletion by age that looks like the result of a wrong clock
└── BrokenBackup         a backup that does not match its manifest
"""

from handigit.errors import HandigitError


class StoreError(HandigitError):
    """A database, or its folder of pictures, that cannot be used."""


class StoreBusy(StoreError):
    """The write lock was not free within the deadline; nothing was written, so the call can be repeated."""


class StoreFull(StoreError):
    """The disk of the database or of the pictures is full; deleting readings still works."""


class StoreDamaged(StoreError):
    """The database file is corrupt, deleted, or replaced by another file."""


class NotInStore(StoreError):
    """Nothing has that id or name: it never existed, or was deleted."""


class BadTruth(StoreError):
    """A correction that is neither a number nor the statement that there is none."""


class KeyReused(StoreError):
    """An idempotency key that was used before for another decision."""


class LeaseLost(StoreError):
    """A lease that has ended and whose item another reviewer holds, or that belongs to another item."""


class NameTaken(StoreError):
    """A name that a user or a token has, or that is reserved."""


class LastAdmin(StoreError):
    """The only admin cannot be removed or given a lesser role: no one could manage accounts any more."""


class TooManyAttempts(StoreError):
    """Too many failed sign-ins to one account; `retry_after_s` is the pause until the next attempt."""

    def __init__(self, message: str, *, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RetentionRefused(StoreError):
    """A deletion by age that would remove most of the store; the clock may be wrong."""


class BrokenBackup(StoreError):
    """A backup that is incomplete or altered; nothing was restored from it."""
