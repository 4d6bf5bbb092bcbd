"""A client of the service on one screen: pictures in, the same JSON objects out as everywhere.

    with Client("http://127.0.0.1:8000") as client:
        print(client.read("amount.png", as_="number")[0]["text"])

It waits as long as a busy server asks it to (Retry-After) and knows nothing of how numbers are read.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Literal

import httpx

from handigit.errors import HandigitError

_AGAIN: Final = frozenset({429, 502, 503, 504})
_LONGEST_WAIT_S: Final = 60.0
Source = str | Path | bytes


class ServiceError(HandigitError):
    """A request that the service refuses: `status` and the `problem` that it told, None if it told none."""

    def __init__(self, status: int, problem: dict[str, Any] | None) -> None:
        super().__init__(str(problem["detail"]) if problem else f"the service answered {status} without saying why")
        self.status = status
        self.problem = problem


class Client:
    """Speaks to one service; `token` as its operator gave it, `tries` in all where it is busy or not there."""

    def __init__(
        self, url: str = "http://127.0.0.1:8000", *, token: str | None = None, tries: int = 5, timeout_s: float = 60
    ) -> None:
        headers = {"authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._tries = tries

    def read(
        self, *sources: Source, as_: Literal["digit", "number", "page"] = "number", keep: bool = True
    ) -> list[dict[str, Any]]:
        """What stands in each picture, given as path or bytes.

        Raises:
            ServiceError: refused for good, or still busy after all tries.
            httpx.TransportError: no service there, after all tries.
        """
        files = [("file", _named(source)) for source in sources]
        answer = self._send("POST", f"/v1/{as_}", files=files, params={"keep": keep})
        return list(answer.json()["readings"])

    def readings(self, **wanted: Any) -> Iterator[dict[str, Any]]:
        """Readings in the store, newest first; `wanted` narrows them: outcome, contains, since, corrected ..."""
        after = None
        while True:
            params = wanted | ({"after": after} if after else {})
            page = self._send("GET", "/v1/readings", params=params).json()
            yield from page["readings"]
            if not (after := page["after"]):
                return

    def correct(self, reading: int, text: str, *, key: str) -> dict[str, Any]:
        """Say what stands there; with the same `key` it lands once, however often it is sent."""
        path, headers = f"/v1/readings/{reading}/corrections", {"idempotency-key": key}
        return dict(self._send("POST", path, json={"text": text}, headers=headers).json())

    def _send(self, method: str, path: str, **how: Any) -> httpx.Response:
        for last in [False] * (self._tries - 1) + [True]:
            wait = 0.5
            try:
                answer = self._http.request(method, path, **how)
            except httpx.TransportError:
                if last:
                    raise
            else:
                if answer.is_success:
                    return answer
                if last or answer.status_code not in _AGAIN:
                    raise ServiceError(answer.status_code, _problem(answer))
                wait = _asked_wait(answer)
            time.sleep(wait)
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """End the connections."""
        self._http.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def _named(source: Source) -> tuple[str, bytes]:
    return ("upload", source) if isinstance(source, bytes) else (Path(source).name, Path(source).read_bytes())


def _asked_wait(answer: httpx.Response) -> float:
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_WAIT_S) if asked.isdigit() else 0.5


def _problem(answer: httpx.Response) -> dict[str, Any] | None:
    return dict(answer.json()) if answer.headers.get("content-type") == "application/problem+json" else None
