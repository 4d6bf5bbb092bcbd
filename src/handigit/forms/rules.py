"""Rules between fields: `votes_a + votes_b == valid`, parsed with `ast` and a whitelist, never evaluated as code.

A rule is kept as one polynomial compared with zero. `marks.*.q1` outside `sum()` makes one rule per row;
`sum(marks.*.q1)` adds a whole column.
"""

import ast
import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from math import prod
from typing import Final

MAX_DEGREE: Final = 4
"""Factors of the longest product."""
_COMPARISONS: Final[dict[type[ast.cmpop], str]] = {
    ast.Eq: "==", ast.LtE: "<=", ast.Lt: "<", ast.GtE: ">=", ast.Gt: ">",
}  # fmt: skip
_DOTTED: Final = re.compile(r"[A-Za-z_]\w*(?:\.(?:\*|\w+))+")
_PART: Final = re.compile(r"\.(\*|\d+)(?!\w)")
_ALLOWED: Final = "a rule compares sums, differences and products of fields and numbers, such as a + b == total"

Monomial = tuple[str, ...]
Polynomial = dict[Monomial, Decimal]


class RuleError(ValueError):
    """A rule that cannot be parsed, or that names an unknown field."""


@dataclass(frozen=True, slots=True)
class Rule:
    """The polynomial `terms` (coefficient, fields multiplied) compared with zero."""

    text: str
    terms: tuple[tuple[Decimal, Monomial], ...]
    comparison: str

    @property
    def fields(self) -> tuple[str, ...]:
        """The names in it, each once, in order of appearance."""
        return tuple(dict.fromkeys(name for _, names in self.terms for name in names))

    @property
    def is_linear(self) -> bool:
        """Whether no two fields are multiplied."""
        return all(len(names) <= 1 for _, names in self.terms)

    def residual(self, values: Mapping[str, Decimal]) -> Decimal:
        """Left side minus right side."""
        return sum((scale * prod((values[name] for name in names), start=Decimal(1)) for scale, names in self.terms),
                   start=Decimal(0))  # fmt: skip

    def accepts(self, residual: Decimal) -> bool:
        """Whether the comparison holds for this residual."""
        compared = {"==": residual == 0, "<=": residual <= 0, "<": residual < 0, ">=": residual >= 0, ">": residual > 0}
        return compared[self.comparison]

    def holds(self, values: Mapping[str, Decimal]) -> bool:
        """Whether the rule holds for these values; every field of it must have one."""
        return self.accepts(self.residual(values))


def parse_rule(text: str, names: Collection[str]) -> list[Rule]:
    """Parse a rule over the named fields; one with `*` outside `sum()` gives a rule per row.

    Raises:
        RuleError: not such a comparison, or a field that is not there; the message names the nearest.
    """
    left, comparison, right = _comparison(text)
    patterns = sorted({pattern for side in (left, right) for pattern in _row_patterns(side)})
    rows = _rows(patterns, names) if patterns else [""]
    rules = []
    for row in rows:
        polynomial = _subtract(_polynomial(left, names, row), _polynomial(right, names, row))
        terms = tuple((scale, monomial) for monomial, scale in polynomial.items() if scale)
        if not any(monomial for _, monomial in terms):
            raise RuleError(f"the rule {text!r} names no field, or its fields cancel out; {_ALLOWED}")
        rules.append(Rule(text.replace("*", row) if len(rows) > 1 and "sum(" not in text else text, terms, comparison))
    return rules


def _comparison(text: str) -> tuple[ast.expr, str, ast.expr]:
    source = _DOTTED.sub(lambda name: _PART.sub(_as_attribute, name[0]), text.strip())
    try:
        tree = ast.parse(source, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise RuleError(f"the rule {text!r} cannot be parsed; {_ALLOWED}") from None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1 or type(tree.ops[0]) not in _COMPARISONS:
        raise RuleError(f"the rule {text!r} is not one comparison with ==, <=, <, >= or >; {_ALLOWED}")
    return tree.left, _COMPARISONS[type(tree.ops[0])], tree.comparators[0]


def _as_attribute(part: re.Match[str]) -> str:
    """A part of a dotted name that Python would not take: an asterisk or a number."""
    return "._any" if part[1] == "*" else f"._n{part[1]}"


def _name(node: ast.expr) -> str | None:
    """The dotted field name or pattern that a node spells, None for any other node."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute) and (head := _name(node.value)) is not None:
        part = node.attr
        return f"{head}.{'*' if part == '_any' else part.removeprefix('_n') if part[2:].isdecimal() else part}"
    return None


def _is_sum(node: ast.AST) -> bool:
    return isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "sum"


def _row_patterns(node: ast.AST) -> Iterator[str]:
    """The names with `*` outside `sum()`."""
    if _is_sum(node):
        return
    name = _name(node) if isinstance(node, ast.expr) else None
    if name is not None:
        if "*" in name:
            yield name
        return
    for child in ast.iter_child_nodes(node):
        yield from _row_patterns(child)


def _matches(pattern: str, names: Iterable[str]) -> dict[str, str]:
    """The text of `*` in each field name that the pattern matches."""
    if pattern.count("*") != 1:
        raise RuleError(f"{pattern!r} has {pattern.count('*')} asterisks; one is allowed per name")
    compiled = re.compile(re.escape(pattern).replace(r"\*", r"([^.]+)"))
    found = {match[1]: name for name in names if (match := compiled.fullmatch(name))}
    if not found:
        raise RuleError(f"no field matches {pattern!r}{_nearest(pattern, names)}")
    return found


def _rows(patterns: Iterable[str], names: Collection[str]) -> list[str]:
    """The values of `*` for which each pattern has a field."""
    found = {pattern: _matches(pattern, names) for pattern in patterns}
    first, *others = found.values()
    for pattern, matches in found.items():
        if missing := [row for row in first if row not in matches]:
            raise RuleError(f"{pattern!r} has no field for {missing[0]!r}, which another name of the rule has")
    return [row for row in first if all(row in matches for matches in others)]


def _polynomial(node: ast.expr, names: Collection[str], row: str) -> Polynomial:
    name = _name(node)
    if name is not None:
        name = name.replace("*", row)
        if name not in names:
            raise RuleError(f"no field named {name!r}{_nearest(name, names)}")
        return {(name,): Decimal(1)}
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            return {(): Decimal(str(value))}
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _subtract({}, _polynomial(operand, names, row))
        case ast.BinOp(left=left, op=ast.Add() | ast.Sub() | ast.Mult() as operator, right=right):
            first, second = _polynomial(left, names, row), _polynomial(right, names, row)
            if isinstance(operator, ast.Mult):
                return _multiply(first, second)
            return _subtract(first, second if isinstance(operator, ast.Sub) else _subtract({}, second))
        case ast.Call(args=[argument], keywords=[]) if _is_sum(node):
            pattern = _name(argument)
            if pattern is None or "*" not in pattern:
                raise RuleError("sum() takes one name with an asterisk, such as sum(marks.*.q1)")
            return {(found,): Decimal(1) for found in _matches(pattern, names).values()}
    raise RuleError(f"{ast.unparse(node)!r} is not allowed; {_ALLOWED}")


def _subtract(first: Polynomial, second: Polynomial) -> Polynomial:
    result = dict(first)
    for monomial, scale in second.items():
        result[monomial] = result.get(monomial, Decimal(0)) - scale
    return result


def _multiply(first: Polynomial, second: Polynomial) -> Polynomial:
    result: Polynomial = {}
    for left, scale in first.items():
        for right, other in second.items():
            monomial = tuple(sorted(left + right))
            if len(monomial) > MAX_DEGREE:
                raise RuleError(f"a product of {len(monomial)} fields; {MAX_DEGREE} is the most")
            result[monomial] = result.get(monomial, Decimal(0)) + scale * other
    return result


def _nearest(name: str, names: Iterable[str]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1)
    return f"; the nearest is {close[0]!r}" if close else ""
