"""The tree of errors that Handigit raises on purpose.

HandigitError
├── ImageError              an input that should be a picture
│   ├── UnreadableImage     empty, truncated, or not a picture at all
│   └── ImageTooLarge       more pixels than the limits allow, detected before decoding
├── DataError               a data set
│   ├── BadDataFile         content that does not match the format: magic number, length, label, column
│   └── DownloadError       no mirror returned the bytes with the expected digest
├── ModelError              a model file, or a model's name
├── PatternError            an invalid pattern for numbers
├── ReadingCancelled        a reading that was ended because its result is no longer wanted
├── RecipeError             a recipe: an unknown field, a value out of range
├── RunError                a run on disk: missing, of another recipe, already there
└── StoreError              the app's store; its children are in `handigit.store.errors`

A message names the problem, the value, and the remedy. Errors are raised where they occur and caught once,
at the edge (command line, server).
"""


class HandigitError(Exception):
    """Base class of all errors that Handigit raises on purpose."""


class ImageError(HandigitError):
    """An input that should be a picture and cannot be used."""


class UnreadableImage(ImageError):
    """An input that is empty, truncated, or not a picture in one of the supported formats."""


class ImageTooLarge(ImageError):
    """A picture whose header declares more pixels than the limits allow; it was not decoded."""


class DataError(HandigitError):
    """A data set that cannot be used."""


class BadDataFile(DataError):
    """A data file whose content does not match its format."""


class DownloadError(DataError):
    """A download that no mirror completed with the right content."""


class ModelError(HandigitError):
    """A model file that cannot be used, or an unknown model name."""


class PatternError(HandigitError):
    """A pattern that is neither a regular expression nor a template, or an alphabet unknown to the model."""


class ReadingCancelled(HandigitError):
    """A decoding or reading that was ended before its time."""


class RecipeError(HandigitError):
    """A recipe with an unknown field or an invalid value."""


class RunError(HandigitError):
    """A run on disk that is missing, belongs to another recipe, or already exists."""
