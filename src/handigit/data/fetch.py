"""Known files over HTTP: several mirrors, resumed after a break, taken only with the right SHA-256.

The one module that speaks HTTP. What has come stays in a `.part` file, also when the program is killed; the next
try, at this mirror or another, asks for the rest (RFC 9110, range requests). Copies of one file are usually packed
alike, but need not be: if pieces do not fit together, the same mirror is asked once more for the whole.
It does not know what the files hold.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from handigit.data.arrival import USUAL, Arrival, KnownFile, Patience, Progress, accept, already_there, part_of
from handigit.errors import DataError, DownloadError

WORTH_ANOTHER_TRY = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Answers that may be better next time; any other of 400 and above is this mirror's last word."""


def fetch(
    files: Sequence[KnownFile],
    *,
    mirrors: Sequence[str],
    folder: Path,
    patience: Patience = USUAL,
    progress: Progress | None = None,
) -> tuple[Arrival, ...]:
    """Bring each file into `folder` from the first mirror (a URL ending in `/`) that has it right.

    A file that is there with the right content is not asked for.

    Raises:
        DownloadError: no mirror gave a file; the message has each one's reason.
        DataError: the folder cannot be written.
    """
    # Packed as stored: a server that unpacks or packs on the way would make ranges meaningless.
    headers = {"Accept-Encoding": "identity"}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with httpx.Client(timeout=patience.stall_s, follow_redirects=True, headers=headers) as client:
            errands = [_Errand(client, file, part_of(file, folder), patience, progress) for file in files]
            return tuple(already_there(errand.file, folder) or errand.run(mirrors) for errand in errands)
    except OSError as problem:
        raise DataError(f"{folder}: cannot be written: {problem.strerror or problem}; choose another folder") from None


@dataclass(frozen=True)
class _Errand:
    """One file to bring."""

    client: httpx.Client
    file: KnownFile
    part: Path
    patience: Patience
    progress: Progress | None

    def run(self, mirrors: Sequence[str]) -> Arrival:
        """The file from the first mirror that has it.

        Raises:
            DownloadError: none has.
        """
        reasons = []
        for mirror in mirrors:
            try:
                return self.ask(mirror + self.file.packed_name)
            except DownloadError as problem:
                reasons.append(f"  {mirror}: {problem}")
        raise DownloadError(
            "\n".join([f"no mirror gave {self.file.packed_name}:", *reasons])
            + "\ncheck the network and try again: what has come is kept; or take the files from where you have them: "
            "`handigit data fetch --from FOLDER_OR_ARCHIVE` works offline"
        )

    def ask(self, url: str) -> Arrival:
        """Try one mirror, going on where the last try broke off.

        Raises:
            DownloadError: it refuses, its content is wrong, or it broke off too often; with the reason alone.
        """
        reason = "not asked"
        for attempt in range(self.patience.attempts):
            time.sleep(self.patience.pause_s * attempt)
            resumed = self.part.exists()
            try:
                self.gather(url)
            except (httpx.HTTPError, httpx.InvalidURL) as problem:
                reason = _reason(problem, self.patience)
                continue
            if arrival := accept(self.part, self.file, origin=url):
                return arrival
            reason = "its content is not the known one (SHA-256 differs)"
            if not resumed:
                break
        raise DownloadError(reason)

    def gather(self, url: str) -> None:
        """Append to the part file what the mirror sends; whether it is right is not looked at.

        Raises:
            httpx.HTTPError: a break that another try may mend.
            DownloadError: the mirror refuses, or sends more than the file can have.
        """
        have = self.part.stat().st_size if self.part.exists() else 0
        with self.client.stream("GET", url, headers={"Range": f"bytes={have}-"} if have else {}) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is here already, or more than all
            if response.is_error and response.status_code not in WORTH_ANOTHER_TRY:
                raise DownloadError(f"answered {response.status_code} {response.reason_phrase}".rstrip())
            response.raise_for_status()
            self.write(response, start=_start(response))

    def write(self, response: httpx.Response, *, start: int) -> None:
        """Write a response's body to the part file from `start` on; what lay there before gives way."""
        length = response.headers.get("Content-Length", "")
        total = start + int(length) if length.isdigit() else None
        done = start
        with self.part.open("ab") as out:
            out.truncate(start)
            for block in response.iter_raw():
                done += out.write(block)
                if done > self.file.most_bytes:
                    out.truncate(0)
                    raise DownloadError(f"sends more than the {self.file.most_bytes} bytes the file can have")
                if self.progress:
                    self.progress(self.file.packed_name, done, total)


def _start(response: httpx.Response) -> int:
    """Where in the file the body belongs: a mirror without ranges sends 200 and begins at 0."""
    if response.status_code != httpx.codes.PARTIAL_CONTENT:
        return 0
    place = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", ""))
    return int(place[1]) if place else 0


def _reason(problem: httpx.HTTPError | httpx.InvalidURL, patience: Patience) -> str:
    """Why a try failed, in a few words."""
    if isinstance(problem, httpx.HTTPStatusError):
        return f"answered {problem.response.status_code} {problem.response.reason_phrase}".rstrip()
    if isinstance(problem, httpx.TimeoutException):
        return f"stalled: nothing came for {patience.stall_s:g} s (tries: {patience.attempts})"
    return f"broke off (tries: {patience.attempts}): {problem}"
