"""What OpenAPI is told where code alone does not say it: bodies that are pictures, the answers' shape, the problems.

It knows the shapes, not how they come about; a test holds them against real answers.
"""

from typing import Any, Final

from pydantic import BaseModel

LINES: Final = "application/jsonl"

_BOX: Final = {"type": ["array", "null"], "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
_SHARE: Final = {"type": "number", "minimum": 0, "maximum": 1}
_DIGIT: Final = {
    "type": "object",
    "required": ["value", "confidence", "box"],
    "properties": {
        "value": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
        "confidence": _SHARE,
        "box": _BOX,
    },
}
NUMBER: Final[dict[str, Any]] = {
    "title": "Number",
    "type": "object",
    "required": ["source", "page", "outcome", "text", "confidence", "box", "digits", "alternatives", "model"],
    "properties": {
        "id": {"type": ["integer", "null"], "description": "The reading's number in the store; null: not kept"},
        "source": {"type": "string"},
        "page": {"type": "integer", "minimum": 0},
        "outcome": {"enum": ["read", "doubt", "blank", "not_a_number"]},
        "text": {"type": "string", "pattern": "^[0-9]*$"},
        "confidence": _SHARE,
        "box": _BOX,
        "digits": {"type": "array", "items": _DIGIT},
        "alternatives": {
            "type": "array",
            "items": {"type": "array", "prefixItems": [{"type": "string"}, _SHARE], "minItems": 2, "maxItems": 2},
        },
        "model": {"type": "string"},
    },
}
PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, the value, and what to do"},
        "request_id": {"type": "string"},
        "source": {"type": "string", "description": "The file that it is about, where there were several"},
    },
}
_EXAMPLE: Final = {
    "id": 1,
    "source": "seven.png",
    "page": 0,
    "outcome": "read",
    "text": "7",
    "confidence": 0.999912,
    "box": [8, 5, 22, 23],
    "digits": [{"value": 7, "confidence": 0.999912, "box": [8, 5, 22, 23]}],
    "alternatives": [],
    "model": "digit-2b1f0c9e",
}
_ANSWERS: Final = {
    "title": "Answers",
    "type": "object",
    "required": ["request_id", "readings", "problems"],
    "properties": {
        "request_id": {"type": "string"},
        "readings": {"type": "array", "items": NUMBER},
        "problems": {"type": "array", "items": PROBLEM},
    },
    "example": {"request_id": "5f0c", "readings": [_EXAMPLE], "problems": []},
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["file"],
}
PICTURES: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "One picture or document as raw bytes, or several as a form's files (any field names)",
        "content": {
            "application/octet-stream": _BINARY,
            "image/png": _BINARY,
            "image/jpeg": _BINARY,
            "image/tiff": _BINARY,
            "application/pdf": _BINARY,
            "multipart/form-data": {"schema": _FORM},
        },
    }
}


def problem(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """One documented refusal."""
    return {status: {"description": description, "content": {"application/problem+json": {"schema": PROBLEM}}}}


REFUSALS: Final = (
    problem(400, "The request cannot be understood")
    | problem(401, "Nobody we know asks")
    | problem(403, "Not allowed")
    | problem(422, "A value is not valid")
    | problem(429, "Too many requests, or a full queue: see Retry-After")
    | problem(503, "Not ready, or draining")
)
"""What any address may answer."""


def answers(kind: str) -> dict[int | str, dict[str, Any]]:
    """The documented answers of `POST /v1/KIND`."""
    good = {
        "description": f"What was read, each as a {kind}; a file that could not be read stands under problems",
        "content": {"application/json": {"schema": _ANSWERS}, LINES: {"schema": NUMBER, "example": _EXAMPLE}},
    }
    return (
        {200: good}
        | problem(408, "The body came too slowly")
        | problem(413, "More bytes or pixels than are allowed")
        | problem(422, "No picture that can be read")
        | problem(504, "No answer in time: see Retry-After")
    )


def described_query(model: type[BaseModel]) -> dict[str, Any]:
    """A model's fields as query parameters, and who may send them."""
    fields = model.model_json_schema()["properties"]
    parameters = [{"name": name, "in": "query", "required": False, "schema": field} for name, field in fields.items()]
    return {"parameters": parameters, "security": [{"HTTPBearer": []}, {"APIKeyCookie": []}]}
