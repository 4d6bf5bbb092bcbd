"""A client of the HTTP API: pictures in, the same JSON objects out as everywhere.

    with Client("http://127.0.0.1:8000") as client:
        print(client.read("amount.png", as_="number")[0]["raw"])

It retries while the server is busy, after the pause that the server asks for (Retry-After).
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import httpx

from handigit.errors import HandigitError

_RETRY_STATUSES: Final = frozenset({429, 502, 503, 504})
_MAX_WAIT_S: Final = 60.0
_DEFAULT_WAIT_S: Final = 0.5
Source = str | Path | bytes


class ServiceError(HandigitError):
    """A request that the server refused: its `status`, and the `problem` it sent, or None."""

    def __init__(self, status: int, problem: dict[str, Any] | None) -> None:
        super().__init__(str(problem["detail"]) if problem else f"the server answered {status} without a reason")
        self.status = status
        self.problem = problem


class Client:
    """A connection to one server.

    Args:
        url: The server's address.
        token: An API token, or the server's HANDIGIT_TOKEN.
        tries: Maximum number of attempts per request while the server is busy or unreachable.
        timeout_s: Maximum seconds per attempt.
    """

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, tries: int = 5, timeout_s: float = 60
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._tries = tries

    def read(
        self, *sources: Source, as_: Literal["digit", "number", "page"] = "number", keep: bool = True
    ) -> list[dict[str, Any]]:
        """Read pictures, given as paths or bytes; returns one JSON object per number.

        `keep`: store the results and the pictures on the server.

        Raises:
            ServiceError: the server refused, or was still busy after all attempts.
            httpx.TransportError: the server could not be reached in any attempt.
            OSError: a file cannot be read.
        """
        files = [("file", _file_part(source)) for source in sources]
        response = self._send("POST", f"/v1/{as_}", files=files, params={"keep": keep})
        return list(response.json()["readings"])

    def readings(self, **filters: Any) -> Iterator[dict[str, Any]]:
        """Stored readings, newest first; `filters` are the API's: outcome, contains, since, corrected, ...

        Raises:
            ServiceError, httpx.TransportError: as `read`.
        """
        after = None
        while True:
            params = filters | ({"after": after} if after else {})
            page = self._send("GET", "/v1/readings", params=params).json()
            yield from page["readings"]
            if not (after := page["after"]):
                return

    def correct(self, reading: int, text: str, *, key: str) -> dict[str, Any]:
        """Correct a reading with the number as it is written; the same `key` is recorded once, even if sent again.

        Raises:
            ServiceError, httpx.TransportError: as `read`.
        """
        path, headers = f"/v1/readings/{reading}/corrections", {"idempotency-key": key}
        return dict(self._send("POST", path, json={"text": text}, headers=headers).json())

    def _send(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        for remaining in reversed(range(self._tries)):
            wait_s = _DEFAULT_WAIT_S
            try:
                response = self._http.request(method, path, **kwargs)
            except httpx.TransportError:
                if not remaining:
                    raise
            else:
                if response.is_success:
                    return response
                if not remaining or response.status_code not in _RETRY_STATUSES:
                    is_problem = response.headers.get("content-type") == "application/problem+json"
                    raise ServiceError(response.status_code, dict(response.json()) if is_problem else None)
                wait_s = _retry_after_s(response)
            time.sleep(wait_s)
        raise AssertionError("the last attempt returns or raises")

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _file_part(source: Source) -> tuple[str, bytes]:
    return ("upload", source) if isinstance(source, bytes) else (Path(source).name, Path(source).read_bytes())


def _retry_after_s(response: httpx.Response) -> float:
    header = response.headers.get("retry-after", "")
    return min(float(header), _MAX_WAIT_S) if header.isdigit() else _DEFAULT_WAIT_S
