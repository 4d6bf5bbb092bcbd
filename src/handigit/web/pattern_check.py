"""The regular expressions that a pattern may use: a subset whose matching time is bounded.

Anyone can send a pattern, and general expressions can match for ever, or recurse until memory ends. Allowed are
characters, classes, groups, alternatives and counts; repetitions of variable length must not be nested.
"""

from dataclasses import dataclass
from typing import Final

from handigit.errors import PatternError

MAX_LENGTH: Final = 100
_MAX_COUNT: Final = 64
"""Longer than any number that a line holds."""
_MAX_DEPTH: Final = 5
_MAX_VARIABLE: Final = 4
"""Repetitions of variable length in a pattern: each multiplies the ways to match by the length of the text."""
_SPECIAL: Final = frozenset("\\[](){}|?*+")


def check_pattern(pattern: str) -> None:
    """Check that an expression is within the subset.

    Raises:
        PatternError: naming the part that is not.
    """
    if len(pattern) > MAX_LENGTH:
        raise PatternError(f"the pattern has {len(pattern)} characters, {MAX_LENGTH} are allowed")
    checker = _Checker(pattern)
    checker.alternatives(0)
    if checker.position < len(pattern):
        raise checker.refuse("has a ) without (")


@dataclass(slots=True)
class _Part:
    """Contents of a part of a pattern: a repetition of variable length, or alternatives."""

    varies: bool = False


class _Checker:
    """A recursive-descent parser; its position is its only state."""

    def __init__(self, pattern: str) -> None:
        self.position = 0
        self._pattern = pattern
        self._variable = 0

    def refuse(self, reason: str) -> PatternError:
        """The error for a part that is not allowed."""
        return PatternError(
            rf"the pattern {self._pattern!r} {reason}; use digits, \d, classes such as [12], groups, | and counts such"
            r" as {5}, or a template such as YYYY"
        )

    def alternatives(self, depth: int) -> _Part:
        """Sequences between bars, up to a closing bracket or the end."""
        if depth > _MAX_DEPTH:
            raise self.refuse(f"nests more than {_MAX_DEPTH} groups")
        part = self._sequence(depth)
        while self._peek() == "|":
            self.position += 1
            self._sequence(depth)
            part = _Part(varies=True)
        return part

    def _sequence(self, depth: int) -> _Part:
        varies = False
        while self._peek() not in ("", "|", ")"):
            atom = self._atom(depth)
            varies |= self._repetition(atom) or atom.varies
        return _Part(varies)

    def _atom(self, depth: int) -> _Part:
        character = self._take()
        if character == "(":
            if self._pattern.startswith("?:", self.position):
                self.position += 2
            elif self._peek() == "?":
                raise self.refuse(f"uses ({self._pattern[self.position : self.position + 2]}")
            part = self.alternatives(depth + 1)
            if self._take() != ")":
                raise self.refuse("has a ( without )")
            return part
        if character == "[":
            self._character_class()
        elif character == "\\":
            self._escape()
        elif character in _SPECIAL:
            raise self.refuse(f"has {character} where a character is expected")
        return _Part()

    def _character_class(self) -> None:
        """The rest of a class such as [0-9.,]."""
        if self._peek() == "^":
            self.position += 1
        start = self.position
        while (character := self._take()) != "]" or self.position == start + 1:
            if not character:
                raise self.refuse("has a [ without ]")
            if character == "[":
                raise self.refuse("has a [ inside a class")
            if character == "\\":
                self._escape()

    def _escape(self) -> None:
        escaped = self._take()
        if not escaped or (escaped.isalnum() and escaped not in "dD"):
            raise self.refuse(f"uses \\{escaped}")

    def _repetition(self, atom: _Part) -> bool:
        """Read a count, if one follows; whether it is of variable length."""
        character = self._peek()
        if not character or character not in "?*+{":
            return False
        self.position += 1
        least, most = (
            self._count() if character == "{" else {"?": (0, 1), "*": (0, _MAX_COUNT), "+": (1, _MAX_COUNT)}[character]
        )
        if most > _MAX_COUNT or least > most:
            raise self.refuse(f"has a count that is not within 0 to {_MAX_COUNT}")
        if self._peek() in ("?", "*", "+", "{") and self._peek():
            raise self.refuse("repeats a repetition")
        varies = most > 1 and least != most
        if varies and atom.varies:
            raise self.refuse("repeats a group that varies in length or has alternatives")
        self._variable += varies
        if self._variable > _MAX_VARIABLE:
            raise self.refuse(f"has more than {_MAX_VARIABLE} repetitions of variable length")
        return least != most

    def _count(self) -> tuple[int, int]:
        end = self._pattern.find("}", self.position)
        first, comma, last = self._pattern[self.position : max(end, self.position)].partition(",")
        numbers = [number for number in (first, last) if number]
        if not numbers or not all(number.isascii() and number.isdigit() and len(number) < 4 for number in numbers):
            raise self.refuse("has a { that does not begin a count")
        self.position = end + 1
        least = int(first or 0)
        return least, least if not comma else int(last) if last else _MAX_COUNT

    def _peek(self) -> str:
        return self._pattern[self.position : self.position + 1]

    def _take(self) -> str:
        character = self._peek()
        self.position += len(character)
        return character
