"""Fail where prose slips back into phrases that no native engineer writes.

    python scripts/check_words.py            # list every hit with its replacement, exit 1 if there is one

Looks at documents, docstrings, comments, templates, scripts, styles and notebooks. Each rule has the plain wording
beside it.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parents[1]
FILES = (
    "*.md",
    "docs/**/*.md",
    "src/**/*.py",
    "src/**/*.html",
    "src/**/*.js",
    "src/**/*.css",
    "src/**/*.toml",
    "tests/*.py",
    "bench/**/*.py",
    "scripts/*.py",
    "scripts/*.sh",
    "examples/*.py",
    "deploy/*",
    "published/**/*.md",
    "notebooks/*.ipynb",
    "Makefile",
)
RULES = {
    r"\bis told\b|\bare told\b|\btold\b|\btells\b": "say, return, report or detect",
    r"\bso many\b|\bso much at most\b": "the count by its name: `limit`, `batch_size`",
    r"\bat most so\b": "maximum",
    r"\bstands? there\b|\bstood there\b": "is",
    r"\bwhat is no\b|\bwhat are no\b": "non-digit, not a number",
    r"\bwhoever\b": "the user, the caller",
    r"\banew\b": "again",
    r"\bnobody\b": "no one, or name the subject",
    r"\bfor good\b": "permanently",
    r"\bwhat was read\b": "results, readings",
    r"\bknows nothing\b|\bnothing of\b": "say what an import contract forbids, or drop the sentence",
    r"\bgoes? on bit": "continues",
    r"\bat a time each\b": "per",
    r"\bour fault\b": "an internal error",
    r"\bof ours\b(?!\))": "our own",
    r"\bwhat (was|were|is|are) said\b": "answer, decision, correction",
    r"\bwhat (a person|people|someone) (says?|say|said)\b": "their answer, decision, correction",
    r"\bwhat (became|can become|becomes) of\b": "state, outcome",
    r"\bsays? something else\b": "disagrees",
    r"\bsurest\b|\bleast sure\b": "most confident, least certain",
    r"\bat its word\b": "accurate",
    r"\bgo(es)? on (working|writing|serving|reading)\b": "continues",
    r"\bfor the asking\b": "on request",
}
SELF = Path(__file__)


def hits() -> Iterator[str]:
    """One line per phrase to replace: file, line, phrase, advice."""
    rules = [(re.compile(pattern, re.IGNORECASE), advice) for pattern, advice in RULES.items()]
    for path in sorted({path for pattern in FILES for path in PROJECT.glob(pattern) if path.is_file()} - {SELF}):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            for pattern, advice in rules:
                for match in pattern.finditer(line):
                    yield f"{path.relative_to(PROJECT)}:{number}: {match[0]!r}: {advice}"


if __name__ == "__main__":
    lines = list(hits())
    print("\n".join(lines))
    sys.exit(bool(lines))
