"""Everything Handigit raises on purpose, as one tree.

HandigitError
├── ImageError              an input that should be a picture
│   ├── UnreadableImage     empty, truncated, or not a picture at all
│   └── ImageTooLarge       more pixels than the limits allow, known before decoding
├── DataError               a data set
│   ├── BadDataFile         a file that is not what its place says: magic, length, label, column
│   └── DownloadError       no mirror gave the bytes whose digest we know
├── ModelError              a model file, or a model's name
├── PatternError            a pattern for numbers that is no regular expression
├── RecipeError             a recipe: an unknown field, a value out of range
├── RunError                a run on disk: missing, of another recipe, already there
└── StoreError              the service's store; with its children in `handigit.store.errors`

Each message says what is wrong, the value, and what to do about it. An error is raised where it is found and caught
once, at the edge (the command line, the server); nothing logs and raises.
"""


class HandigitError(Exception):
    """The root: catch it to catch all that Handigit raises on purpose."""


class ImageError(HandigitError):
    """An input that should be a picture and cannot be used."""


class UnreadableImage(ImageError):
    """An input that is empty, truncated, or not a picture in one of the allowed formats."""


class ImageTooLarge(ImageError):
    """A picture whose header promises more pixels than the limits allow; it was not decoded."""


class DataError(HandigitError):
    """A data set that cannot be used."""


class BadDataFile(DataError):
    """A data file whose content is not what its format says."""


class DownloadError(DataError):
    """A download that no mirror could complete with the right content."""


class ModelError(HandigitError):
    """A model file that cannot be used, or a model name that nothing answers to."""


class PatternError(HandigitError):
    """A pattern for numbers that is neither a regular expression nor a template, or an alphabet that no model has."""


class RecipeError(HandigitError):
    """A recipe with an unknown field or a value that makes no sense."""


class RunError(HandigitError):
    """A run on disk that is missing, belongs to another recipe, or stands in the way."""
