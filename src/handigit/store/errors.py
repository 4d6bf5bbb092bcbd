"""What the store raises on purpose.

StoreError               a database or a folder of pictures that cannot be used
├── NotInStore           no reading, correction, lease, user or token of that name
├── BadTruth             a correction that is no number
├── KeyReused            an idempotency key that stood for another decision before
├── LeaseLost            an item that another reviewer holds by now
├── NameTaken            a user's name that is in use
└── BrokenBackup         a backup whose content is not what its manifest says
"""

from handigit.errors import HandigitError


class StoreError(HandigitError):
    """A database, or its folder of pictures, that cannot be used."""


class NotInStore(StoreError):
    """Nothing of that number or name is there; it never was, or has been deleted."""


class BadTruth(StoreError):
    """A correction that is neither a number nor the statement that there is none."""


class KeyReused(StoreError):
    """An idempotency key that came before with another decision."""


class LeaseLost(StoreError):
    """A lease that is over and whose item another reviewer holds, or that was never this reviewer's."""


class NameTaken(StoreError):
    """A user's name that somebody has already."""


class BrokenBackup(StoreError):
    """A backup that is incomplete or altered; nothing was restored from it."""
