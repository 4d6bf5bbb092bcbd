"""Pictures in a JSON body, as base64."""

import base64
from typing import Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handigit.web.problems import BAD_REQUEST, INVALID, Problem, problem_of_fields

MAX_JSON_BYTES: Final = 1_500_000
"""A megabyte of pictures as base64; JSON is parsed in memory, larger pictures are sent as they are."""
MAX_NAME: Final = 200
"""Maximum length of a file name."""


class NamedPicture(BaseModel):
    """A picture in JSON: base64, or a data URL, with a file name."""

    data: str
    name: str = Field(default="", max_length=MAX_NAME)


class JsonPictures(BaseModel):
    """Pictures in JSON: one as `image`, or several as `images`."""

    image: str | None = None
    images: list[str | NamedPicture] = Field(default=[], min_length=1)
    model_config = ConfigDict(extra="forbid")


def decode_json(body: bytes, max_files: int, name: str) -> list[tuple[str, bytes]]:
    """The pictures of a JSON body by name; `name` is for a single one.

    Raises:
        Problem: not such a body, too many pictures, or one that is not base64.
    """
    try:
        pictures = JsonPictures.model_validate_json(body)
    except ValidationError as error:
        raise problem_of_fields(error.errors()) from None
    if (pictures.image is None) == (not pictures.images):
        raise Problem(INVALID, "give one picture as image, or several as images")
    given = pictures.images if pictures.image is None else [NamedPicture(data=pictures.image, name=name)]
    if len(given) > max_files:
        raise Problem(BAD_REQUEST, f"{len(given)} pictures, {max_files} are allowed; send fewer at once")
    named = [NamedPicture(data=picture) if isinstance(picture, str) else picture for picture in given]
    return [(picture.name, _decode_base64(picture.data, index)) for index, picture in enumerate(named)]


def _decode_base64(data: str, index: int) -> bytes:
    head, comma, rest = data.partition(",")
    encoded = rest if comma and head.startswith("data:") else data
    try:
        content = base64.b64decode("".join(encoded.split()), validate=True)
    except ValueError:
        raise Problem(BAD_REQUEST, f"picture {index} is not base64; send the file's bytes encoded as base64") from None
    if not content:
        raise Problem(BAD_REQUEST, f"picture {index} is empty; send the file's bytes encoded as base64")
    return content
