"""OpenAPI schemas that FastAPI cannot infer: picture bodies, answers, problems."""

from typing import Any, Final

from pydantic import BaseModel

from handigit.web.json_uploads import MAX_NAME

JSON_LINES: Final = "application/jsonl"

_BOX: Final = {"type": ["array", "null"], "items": {"type": "integer"}, "minItems": 4, "maxItems": 4}
_PROBABILITY: Final = {"type": "number", "minimum": 0, "maximum": 1}
_DIGIT: Final = {
    "type": "object",
    "required": ["value", "confidence", "box"],
    "properties": {
        "value": {"type": ["integer", "null"], "minimum": 0, "maximum": 9},
        "confidence": _PROBABILITY,
        "box": _BOX,
    },
}
NUMBER_SCHEMA: Final[dict[str, Any]] = {
    "title": "Number",
    "type": "object",
    "required": [
        "source",
        "page",
        "outcome",
        "raw",
        "text",
        "value",
        "confidence",
        "box",
        "digits",
        "alternatives",
        "model",
    ],
    "properties": {
        "id": {"type": ["integer", "null"], "description": "The reading's id in the store; null: not stored"},
        "source": {"type": "string"},
        "page": {"type": "integer", "minimum": 0},
        "outcome": {"enum": ["read", "doubt", "blank", "not_a_number"]},
        "raw": {"type": "string", "description": "The number as written: 3.50, -12, 12/05/2026"},
        "text": {"type": "string", "pattern": "^[0-9]*$", "description": "Its digits, with leading zeros"},
        "value": {
            "type": ["number", "string", "null"],
            "description": "A number, an ISO date if the pattern is a date's, or null where it is not decidable",
        },
        "confidence": _PROBABILITY,
        "box": _BOX,
        "digits": {"type": "array", "items": _DIGIT},
        "alternatives": {
            "type": "array",
            "description": "Other texts, each with its probability",
            "items": {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 2, "maxItems": 2},
        },
        "model": {"type": "string"},
    },
}
PROBLEM_SCHEMA: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "request_id"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, the value, and what to do"},
        "request_id": {"type": "string"},
        "source": {"type": "string", "description": "The file with the problem, if there were several"},
    },
}
_EXAMPLE: Final = {
    "id": 1,
    "source": "seven.png",
    "page": 0,
    "outcome": "read",
    "raw": "7",
    "text": "7",
    "value": 7,
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
        "readings": {"type": "array", "items": NUMBER_SCHEMA},
        "problems": {"type": "array", "items": PROBLEM_SCHEMA},
    },
    "example": {"request_id": "5f0c", "readings": [_EXAMPLE], "problems": []},
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
_FORM: Final = {
    "type": "object",
    "properties": {"file": {"type": "array", "items": {"type": "string", "format": "binary"}}},
    "required": ["file"],
}
EXAMPLE_PICTURE: Final = (
    "iVBORw0KGgoAAAANSUhEUgAAABwAAAAcAQAAAABaduI5AAAARklEQVR42nXNsRFAQBQFwL03AqEOKEXpQuWcTHDjK8BINt1WXIEP"
    "bRaGMJnUKczCISxUrT1sogi7eFCjegyiETcRotP+yhdqghP4TsB8/AAAAABJRU5ErkJggg=="
)
"""A drawn 7, as base64."""
_BASE64: Final = {"type": "string", "description": "Base64, or a data URL"}
_NAMED: Final = {"type": "object", "required": ["data"],
                 "properties": {"data": _BASE64, "name": {"type": "string", "maxLength": MAX_NAME}}}  # fmt: skip
_JSON: Final = {
    "type": "object",
    "description": "One image or several, a megabyte in all",
    "oneOf": [{"required": ["image"]}, {"required": ["images"]}],
    "additionalProperties": False,
    "properties": {
        "image": _BASE64,
        "images": {"type": "array", "minItems": 1, "items": {"anyOf": [_BASE64, _NAMED]}},
    },
}
PICTURE_BODY: Final[dict[str, Any]] = {
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
            "application/json": {"schema": _JSON, "example": {"image": EXAMPLE_PICTURE}},
        },
    }
}


def problem_response(status: int, description: str) -> dict[int | str, dict[str, Any]]:
    """One documented problem."""
    return {status: {"description": description, "content": {"application/problem+json": {"schema": PROBLEM_SCHEMA}}}}


COMMON_PROBLEMS: Final = (
    problem_response(400, "The request cannot be understood")
    | problem_response(401, "Sign-in required")
    | problem_response(403, "Not allowed")
    | problem_response(414, "The address has more than 16 kB")
    | problem_response(422, "A value is not valid")
    | problem_response(429, "Too many requests, or a full queue: see Retry-After")
    | problem_response(431, "The head has more than 64 kB, 16 kB in a line, or 100 lines")
    | problem_response(503, "Not ready, or draining")
)
"""Possible at every route."""
TOO_LONG: Final = problem_response(504, "It takes too long to make: select less")
"""Of downloads that are made of many rows."""


_CONTENTS: Final = {
    "auto": "The digit or number of each picture, or every number on it",
    "digit": "The digit of each picture",
    "number": "The number of each picture",
    "page": "Every number on each page",
}


def read_responses(kind: str) -> dict[int | str, dict[str, Any]]:
    """The documented responses of `POST /v1/KIND`."""
    success = {
        "description": f"{_CONTENTS[kind]}; files that could not be read are listed under problems",
        "content": {
            "application/json": {"schema": _ANSWERS},
            JSON_LINES: {"schema": NUMBER_SCHEMA, "example": _EXAMPLE},
        },
    }
    return (
        {200: success}
        | problem_response(408, "The body arrived too slowly")
        | problem_response(409, "The idempotency key was used for another picture")
        | problem_response(413, "More bytes or pixels than are allowed")
        | problem_response(422, "Not a picture that can be read")
        | problem_response(504, "No answer in time: see Retry-After")
    )


FORM_BODY: Final[dict[str, Any]] = {
    "requestBody": {
        "required": True,
        "description": "The files form.toml, its blank and its lists",
        "content": {"multipart/form-data": {"schema": _FORM}},
    }
}
_RECORD: Final = {
    "title": "Record",
    "type": "object",
    "required": ["id", "batch", "outcome", "template", "fields", "checks", "pages"],
    "properties": {
        "id": {"type": ["integer", "null"], "description": "The record's id in the store; null: not stored"},
        "batch": {"type": ["string", "null"]},
        "outcome": {"enum": ["read", "doubt", "blank", "unplaced"]},
        "template": {"type": "string", "description": "Empty for a page that is not part of a form"},
        "fields": {"type": "object", "additionalProperties": {"type": "object"}},
        "checks": {"type": "array", "items": {"type": "object"}},
        "pages": {"type": "array", "items": {"type": "object"}},
        "problems": {"type": "array", "items": {"type": "string"}},
    },
}


def records_responses() -> dict[int | str, dict[str, Any]]:
    """The documented responses of `POST /v1/forms/NAME/records`."""
    answer = {"type": "object", "properties": {"request_id": {"type": "string"}, "batch": {"type": "string"},
                                               "records": {"type": "array", "items": _RECORD}}}  # fmt: skip
    success = {
        "description": "One record per form, and one per page that is not part of a form",
        "content": {"application/json": {"schema": answer}, JSON_LINES: {"schema": _RECORD}},
    }
    return (
        {200: success}
        | problem_response(408, "The body arrived too slowly")
        | problem_response(413, "More bytes or pixels than are allowed")
        | problem_response(504, "No page in time: see Retry-After")
    )


def query_parameters(model: type[BaseModel]) -> dict[str, Any]:
    """A model's fields as query parameters, with the security schemes of the read routes."""
    fields = model.model_json_schema()["properties"]
    parameters = [{"name": name, "in": "query", "required": False, "schema": field} for name, field in fields.items()]
    return {"parameters": parameters, "security": [{"HTTPBearer": []}, {"APIKeyCookie": []}]}
