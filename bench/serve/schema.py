"""Schemathesis over the whole API of a running server, all phases and checks: signed in as an admin, and signed out.

    python -m bench.serve.schema --seconds 120 --examples 20

`bench/serve/schemathesis.toml` says what the schema cannot. Results go to bench/results/resilience.json.
"""

import argparse
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from bench.results_io import RESULTS, load_results, save_results
from tests.serving import picture, running

TOKEN: Final = "a secret of more than 16"  # noqa: S105 - of a server that ends with the bench
_FAILURE: Final = re.compile(r"^ *(?:❌|🚫) (?:ST\d+ )?([A-Z][\w -]+): (\d+)$", re.MULTILINE)
_CASES: Final = re.compile(r"^ *([\d,]+) generated", re.MULTILINE)


def explore(folder: Path, *, signed_in: bool, seconds: int, examples: int, report: Path | None) -> dict[str, Any]:
    """The number of requests, and the failures of checks by their kind."""
    header = f"Authorization: Bearer {TOKEN}"
    environment = {"HANDIGIT_TOKEN": TOKEN, "HANDIGIT_RATE_PER_MINUTE": "1000000"}
    with running(folder, **environment) as server, server.client(headers=dict([header.split(": ")])) as client:
        for path in ("/v1/digit", "/v1/number"):
            client.post(path, content=picture(size=90)).raise_for_status()
        config = Path(__file__).with_name("schemathesis.toml")
        phases = ["--phases", "examples,coverage,fuzzing,stateful", "--checks", "all", "--warnings", "off"]
        limits = ["--max-time", str(seconds), "--max-examples", str(examples), "--request-timeout", "60"]
        ways = ["--seed", "1", "--no-shrink", "--continue-on-failure", "--suppress-health-check", "all"]
        program = [str(Path(sys.executable).with_name("st")), "--config-file", str(config)]
        command = [*program, "run", f"{server.url}/openapi.json", *phases, *limits, *ways]
        done = subprocess.run(
            command + (["--header", header] if signed_in else []),
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        faults = [line for line in server.log if line.get("event") == "failed" and line.get("level") == "error"]
    if report:
        report.write_text(done.stdout + done.stderr, encoding="utf-8")
    cases = _CASES.search(done.stdout)
    if not cases:
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    failures = {name: int(count) for name, count in _FAILURE.findall(done.stdout)}
    return {"requests": int(cases[1].replace(",", "")), "failures": failures, "faults_logged": len(faults)}


def main() -> None:
    """The program."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=120, help="of each of the two runs")
    parser.add_argument("--examples", type=int, default=20, help="per operation and phase")
    parser.add_argument("--report", type=Path, help="a folder for what Schemathesis prints")
    options = parser.parse_args()
    found = {}
    for name, signed_in in (("signed in", True), ("signed out", False)):
        report = options.report / f"{name}.txt" if options.report else None
        with tempfile.TemporaryDirectory() as place:
            found[name] = explore(Path(place), signed_in=signed_in, seconds=options.seconds,
                                  examples=options.examples, report=report)  # fmt: skip
        print(name, json.dumps(found[name]), flush=True)
    results = load_results(RESULTS / "resilience.json")
    save_results(RESULTS / "resilience.json", results | {"schema": found})


if __name__ == "__main__":
    main()
