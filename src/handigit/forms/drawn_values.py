"""Values for the fields of a form that satisfy its checks, or break one of its sums."""

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from handigit.forms.check_digits import complete
from handigit.forms.lookup import load_lookup
from handigit.forms.specs import DigitsCheck, FieldSpec, Kind, ListCheck, RuleCheck
from handigit.forms.template import Template
from handigit.forms.values import decimal_of

_TRIES: Final = 400
_ROUNDS: Final = 60


def draw_values(template: Template, rng: np.random.Generator, *, fraction_blank: float = 0.0) -> dict[str, str]:
    """The text of each field, by name; empty for a blank one. Equalities, check digits and lists hold."""
    values = {spec.name: _draw(spec, rng) for spec in template.fields}
    for check in template.checks:
        test = check.test
        if isinstance(test, DigitsCheck):
            values[test.field] = _with_check_digit(template.by_name[test.field], test.scheme, rng)
        elif isinstance(test, ListCheck):
            keys = sorted(load_lookup(test.path, test.column).rows)
            values[test.field] = keys[int(rng.integers(len(keys)))]
    rules = [check.test for check in template.checks if isinstance(check.test, RuleCheck)]
    for _ in range(_ROUNDS):  # what mends one rule may break another
        before = dict(values)
        for rule in rules:
            _satisfy(template, rule, values, rng)
        if values == before:
            break
    for spec in template.fields:
        free = not any(spec.name in check.fields for check in template.checks) and not spec.required
        if free and rng.random() < fraction_blank:
            values[spec.name] = ""
    return values


def break_sum(template: Template, values: Mapping[str, str], rng: np.random.Generator) -> dict[str, str]:
    """The same with the result of one sum off, as people add: mostly by one in some digit."""
    broken = dict(values)
    results = [check.test.rule.terms[-1][1][0] for check in template.checks
               if isinstance(check.test, RuleCheck) and check.test.rule.comparison == "==" and check.test.rule.is_linear
               and check.test.rule.terms[-1][1]]  # fmt: skip
    name = results[int(rng.integers(len(results)))]
    spec, number = template.by_name[name], int(broken[name] or 0)
    for _ in range(_TRIES):
        step = int(rng.choice([1, 1, 1, 2, 3, 5, 9])) * 10 ** int(rng.integers(0, max(len(broken[name]), 1)))
        wrong = number + (step if rng.random() < 0.5 else -step)
        if wrong >= 0 and _fits(spec, wrong):
            broken[name] = str(wrong)
            return broken
    return broken


def _draw(spec: FieldSpec, rng: np.random.Generator) -> str:
    match spec.kind:
        case Kind.DATE:
            day = date(2024, 1, 1) + timedelta(days=int(rng.integers(0, 1000)))
            return _by_pattern(spec.pattern or "", {"D": day.day, "M": day.month, "Y": day.year})
        case Kind.TIME:
            return _by_pattern(spec.pattern or "", {"H": int(rng.integers(24)), "M": int(rng.integers(60)), "S": 0})
        case Kind.MARK:
            return "yes" if rng.random() < 0.5 else "no"
        case Kind.CHOICE:
            return spec.choices[int(rng.integers(len(spec.choices)))][0]
        case Kind.PRESENT:
            return "yes"
        case Kind.NUMBER | Kind.DECIMAL:
            return _draw_number(spec, rng)
    return ""


def _draw_number(spec: FieldSpec, rng: np.random.Generator) -> str:
    places, cells = spec.places or 0, spec.cells or 3
    if spec.range is not None:
        low, high = (int(bound.scaleb(places)) for bound in spec.range)
    elif spec.pattern and spec.pattern.startswith("20"):
        low, high = 2020, 2029
    else:
        low, high = 0, 10**cells - 1
        # Values of all lengths, as on real forms, rather than nearly always the longest.
        high = min(high, 10 ** int(rng.integers(max(cells - 2, 1), cells + 1)) - 1)
    return str(int(rng.integers(low, min(high, 10**cells - 1) + 1)))


def _with_check_digit(spec: FieldSpec, scheme: str, rng: np.random.Generator) -> str:
    cells = spec.cells or 8
    width = cells - (2 if scheme == "mod97" else 1)
    while True:
        body = str(int(rng.integers(10 ** (width - 1), 10**width)))
        try:
            return complete(scheme, body)
        except ValueError:
            continue


def _satisfy(template: Template, test: RuleCheck, values: dict[str, str], rng: np.random.Generator) -> None:
    """Change the fields of a rule until it holds: compute its last field, draw the others again if necessary."""
    rule = test.rule
    for _ in range(_TRIES):
        numbers = {name: decimal_of(template.by_name[name], values[name]) or Decimal(0) for name in rule.fields}
        if rule.holds(numbers):
            return
        scale, names = rule.terms[-1]
        if rule.comparison == "==" and len(names) == 1 and abs(scale) == 1:
            spec = template.by_name[names[0]]
            wanted = int((numbers[names[0]] - rule.residual(numbers) / scale).scaleb(spec.places or 0))
            if wanted >= 0 and _fits(spec, wanted):
                values[names[0]] = str(wanted)
                return
        for name in rule.fields[:-1]:
            spec = template.by_name[name]
            values[name] = str(int(values[name] or 0) // 2 if rule.comparison == "==" and rng.random() < 0.5
                               else int(_draw_number(spec, rng)))  # fmt: skip


def _fits(spec: FieldSpec, number: int) -> bool:
    """Whether a number of digits fits into a field's cells and range."""
    value = Decimal(number).scaleb(-(spec.places or 0))
    return len(str(number)) <= (spec.cells or 12) and (spec.range is None or spec.range[0] <= value <= spec.range[1])


def _by_pattern(pattern: str, parts: Mapping[str, int]) -> str:
    text = "".join(letter for letter in pattern if letter.isalpha())
    for letter, value in parts.items():
        count = text.count(letter)
        text = text.replace(letter * count, f"{value:0{count}d}"[-count:]) if count else text
    return text
