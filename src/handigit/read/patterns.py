"""Patterns and alphabets -> constraints on the text of a number."""

from functools import lru_cache
from typing import Final

import regex

from handigit.errors import PatternError
from handigit.read.ctc import DIGITS, UNKNOWN, Constraint, keep_digits

_SEPARATORS: Final = ".,-/"
_AFFIXES: Final = "$=x "
"""Characters that a pattern for the number as written need not mention."""
_LONGEST: Final = 40
_MAX_TRIED: Final = 4000
"""Longest text, and number of texts, tried to find out whether a pattern can match at all."""
_MATCH_SECONDS: Final = 0.05
"""Time after which a pattern's comparison with one short text is given up."""
_PLACEHOLDERS: Final = frozenset("YMDHSN#9")
"""Letters of a template such as YYYY or 99999; each is one digit."""


@lru_cache(maxsize=256)
def parse_pattern(pattern: str) -> Constraint:
    r"""The constraint that a pattern puts on a number.

    A pattern is a regular expression for the digits alone, such as `\d{5}` or `[12]\d{3}`, or for the number as it is
    written, such as `\d+\.\d{2}`; or a template with a letter per digit, such as `YYYY`, `99999` or `DD.MM.YYYY`, whose
    separators are ignored.

    Raises:
        PatternError: not a valid expression, or one that no number can match.
    """
    letters = [character for character in pattern if character not in " .,-/"]
    expression = pattern
    if letters and all(character in _PLACEHOLDERS for character in letters):
        expression = rf"\d{{{len(letters)}}}"
    try:
        compiled = regex.compile(expression, regex.ASCII)
    except regex.error as problem:
        raise PatternError(
            rf"the pattern {pattern!r} is not a regular expression ({problem}); write one such as \d{{5}}, or a"
            " template such as YYYY"
        ) from None
    if not _has_match(compiled):
        raise PatternError(
            rf"the pattern {pattern!r} matches no number: no text of digits and the separators {_SEPARATORS} fits it;"
            r" write one such as \d{5} or \d+\.\d{2}"
        )

    def may_begin(raw: str) -> bool:
        return _may_begin(compiled, raw)

    def allows(raw: str) -> bool:
        return any(_matches(compiled, text) for text in _forms(raw))

    return Constraint(may_begin, allows)


@lru_cache(maxsize=1 << 14)
def _may_begin(compiled: "regex.Pattern[str]", raw: str) -> bool:
    """Whether the pattern fits a longer text; kept, because the beams of a page's crops begin alike."""
    return any(_matches(compiled, text, partial=True) for text in _forms(raw))


def _matches(compiled: "regex.Pattern[str]", text: str, *, partial: bool = False) -> bool:
    """Whether the pattern fits the text, or with `partial` a longer one that begins with it.

    Raises:
        PatternError: the search took too long, as it does for nested repetitions.
    """
    try:
        return compiled.fullmatch(text, partial=partial, timeout=_MATCH_SECONDS) is not None
    except TimeoutError:
        raise PatternError(
            f"the pattern {compiled.pattern!r} takes more than {_MATCH_SECONDS} s to compare with {text!r}; write one"
            " without a repetition inside another, such as (a+)+"
        ) from None


def _forms(raw: str) -> tuple[str, str]:
    """The two texts that a pattern may describe: the digits, and the number as written without its affixes."""
    return keep_digits(raw), "".join(character for character in raw if character not in _AFFIXES)


def _has_match(compiled: "regex.Pattern[str]") -> bool:
    """Whether any number fits, by a depth-first search that extends only what may still match."""
    stack = [""]
    for _ in range(_MAX_TRIED):
        if not stack:
            return False
        text = stack.pop()
        if keep_digits(text) and _matches(compiled, text):
            return True
        if len(text) < _LONGEST:
            longer = (text + character for character in reversed(DIGITS + _SEPARATORS))
            stack += [candidate for candidate in longer if _matches(compiled, candidate, partial=True)]
    return False


def parse_alphabet(alphabet: str, known: str) -> Constraint:
    """The constraint that only these characters occur; `0-9` and other ranges of digits are expanded.

    Raises:
        PatternError: an empty alphabet, or a character that the model does not know.
    """
    if not alphabet:
        raise PatternError(f"the alphabet is empty; name the characters that may occur, out of {known}")
    expanded = regex.sub(
        r"(\d)-(\d)", lambda found: "".join(map(str, range(int(found[1]), int(found[2]) + 1))), alphabet
    )
    if unknown := sorted(set(expanded) - set(known)):
        raise PatternError(f"the alphabet {alphabet!r} contains {unknown[0]!r}; the model knows {known}")
    allowed = frozenset(expanded) | {UNKNOWN}

    def allows(raw: str) -> bool:
        return allowed.issuperset(raw)

    return Constraint(allows, allows)


def date_order(pattern: str | None) -> str | None:
    """The order of a date's digits, such as "DDMMYYYY", if the pattern is a template of a date such as DD.MM.YYYY."""
    letters = "".join(character for character in pattern or "" if character not in " .,-/")
    return letters if sorted(letters) == sorted("DDMMYYYY") else None
