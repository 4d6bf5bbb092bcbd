"""A pile of scans: the documents of files, folders, patterns and archives, each opened when it is read."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from handigit import ImageError, open_pages
from handigit.forms.page_ink import Grey
from handigit.images import Limits
from handigit.read.archives import BROKEN, is_archive, open_archive
from handigit.read.files import find_pictures

_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Document:
    """A picture or document of a pile; `open` yields its pages.

    Raises:
        ImageError: from `open`, a document that cannot be used.
    """

    name: str
    open: Callable[[], Iterator[Grey]]


def documents(sources: str | Path | Iterable[str | Path], *, limits: Limits = _LIMITS) -> Iterator[Document]:
    """The documents of files, folders, patterns and archives (.zip, .tar), broken ones included."""
    given = [sources] if isinstance(sources, str | Path) else sources
    for path in find_pictures(map(Path, given)).items:
        if isinstance(path, ImageError):
            yield Document(str(path).partition(":")[0], _fails(path))
        elif is_archive(path.name):
            try:
                with path.open("rb") as file:
                    for name, content in open_archive(file, str(path)):
                        yield document(name, content, limits=limits)
            except BROKEN as error:
                yield Document(str(path), _fails(ImageError(f"{path}: cannot be read: {error}")))
        else:
            yield document(str(path), path, limits=limits)


def document(name: str, content: Path | bytes | ImageError, *, limits: Limits = _LIMITS) -> Document:
    """A document from its file, its bytes, or the error that prevents it."""
    if isinstance(content, ImageError):
        return Document(name, _fails(content))
    return Document(name, lambda: open_pages(content, limits=limits))


def _fails(error: ImageError) -> Callable[[], Iterator[Grey]]:
    def fail() -> Iterator[Grey]:
        raise error

    return fail
