"""The checks of a template applied to the fields of a record: joint decoding, then whether each check holds."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Final

from handigit.forms.check_digits import CHANCE, passes
from handigit.forms.joint import REST, Distribution, Factor, RuleFactor, TextFactor, decode_jointly, distribution
from handigit.forms.lookup import Lookup, load_lookup
from handigit.forms.record import Check, CheckState, Field, FieldOutcome, Record, RecordOutcome
from handigit.forms.specs import CheckSpec, DigitsCheck, FieldSpec, ListCheck, RangeCheck, RuleCheck, UniqueCheck
from handigit.forms.template import Template
from handigit.forms.values import decimal_of, value_of
from handigit.forms.votes import Hypotheses

_LEAST_LIKELY: Final = 1e-3
"""What satisfies a check must be at least this likely beside the best that does not."""


class Checker:
    """The checks of one template; `lookups` and the values seen so far (for `unique`) are kept between records.

    Raises:
        RosterError: a list that cannot be used.
    """

    def __init__(self, template: Template) -> None:
        self.template = template
        self._lookups: dict[CheckSpec, Lookup] = {
            spec: load_lookup(spec.test.path, spec.test.column, spec.test.copy)
            for spec in template.checks
            if isinstance(spec.test, ListCheck)
        }
        self._seen: dict[CheckSpec, dict[str, str]] = defaultdict(dict)

    def apply(
        self, fields: Mapping[str, Field], hypotheses: Mapping[str, Hypotheses], *, threshold: float, source: str = ""
    ) -> tuple[dict[str, Field], tuple[Check, ...]]:
        """Decode the fields jointly and judge every check; `alone` of each field is unchanged."""
        found = dict(fields)
        priors = {name: distribution(hypothesis.texts) for name, hypothesis in hypotheses.items() if hypothesis.texts}
        specs = [
            spec
            for spec in self.template.checks
            if all(name in priors for name in spec.fields) and self._can_decide(spec, hypotheses)
        ]
        factors = [self._factor(spec, hypotheses) for spec in specs]
        posteriors = decode_jointly(priors, factors) if factors else {}
        checked = {name for spec in specs for name in spec.fields}
        for name in checked:
            if found[name].by != "person":
                found[name] = self._decided(found[name], hypotheses[name], posteriors[name], threshold)
        checks = []
        for spec in self.template.checks:
            check = self._judge(spec, found, hypotheses, priors, source)
            if check.state is CheckState.FAILS:
                for name in check.fields:
                    found[name] = _doubted(found[name], check)
            checks.append(check)
        return self._with_copies(found), tuple(checks)

    def note(self, record: Record) -> None:
        """Remember the values of a record that must be unique, as if it had been checked."""
        for spec in self.template.checks:
            field = record.fields.get(spec.fields[0])
            if isinstance(spec.test, UniqueCheck) and field is not None and field.text:
                self._seen[spec].setdefault(field.text, record.place)

    def _can_decide(self, spec: CheckSpec, hypotheses: Mapping[str, Hypotheses]) -> bool:
        """Whether a check takes part in decoding; a rule only if all texts of its fields are numbers."""
        if isinstance(spec.test, RuleCheck):
            return all(
                len(self._decimals(name, hypotheses[name])) == len(hypotheses[name].texts) for name in spec.fields
            )
        return not isinstance(spec.test, UniqueCheck)

    def _factor(self, spec: CheckSpec, hypotheses: Mapping[str, Hypotheses]) -> Factor:
        test = spec.test
        if isinstance(test, RuleCheck):
            values = {name: self._decimals(name, hypotheses[name]) for name in spec.fields}
            return RuleFactor(test.rule, values)
        texts = [text for text, _ in hypotheses[spec.fields[0]].texts]
        length = len(texts[0])
        if isinstance(test, DigitsCheck):
            passing = frozenset(text for text in texts if passes(test.scheme, text))
            return TextFactor(test.field, passing, CHANCE[test.scheme])
        if isinstance(test, ListCheck):
            lookup = self._lookups[spec]
            return TextFactor(test.field, frozenset(text for text in texts if text in lookup), lookup.chance(length))
        assert isinstance(test, RangeCheck)
        decimals = self._decimals(test.field, hypotheses[test.field])
        passing = frozenset(text for text, value in decimals.items() if test.bounds[0] <= value <= test.bounds[1])
        return TextFactor(test.field, passing, _range_chance(self.template.by_name[test.field], test.bounds, length))

    def _decimals(self, name: str, hypotheses: Hypotheses) -> dict[str, Decimal]:
        spec = self.template.by_name[name]
        values = {text: decimal_of(spec, text, hypotheses.raw) for text, _ in hypotheses.texts}
        return {text: value for text, value in values.items() if value is not None}

    def _decided(self, field: Field, hypotheses: Hypotheses, posterior: Distribution, threshold: float) -> Field:
        """A field after the checks: its likeliest text, as sure as all checks together make it."""
        ranked = sorted(((text, share) for text, share in posterior.items() if text != REST), key=lambda pair: -pair[1])
        text, confidence = ranked[0]
        spec = self.template.by_name[field.name]
        value = value_of(spec, text, hypotheses.raw)
        changed = text != field.text
        sure = confidence >= threshold and value is not None
        return replace(
            field,
            outcome=FieldOutcome.READ if sure else FieldOutcome.DOUBT,
            raw=text if changed else field.raw,
            text=text,
            value=value,
            confidence=confidence,
            alternatives=tuple(pair for pair in ranked[1:6] if pair[1] >= 1e-4),
            by="checks" if changed or (sure and field.outcome is not FieldOutcome.READ) else field.by,
            note="" if sure else field.note,
        )

    def _judge(
        self,
        spec: CheckSpec,
        fields: Mapping[str, Field],
        hypotheses: Mapping[str, Hypotheses],
        priors: Mapping[str, Distribution],
        source: str,
    ) -> Check:
        """Whether a check holds for the fields as decided, and whether that is likely enough to be believed."""
        names = spec.fields
        known = [fields.get(name) for name in names]
        if any(one is None or one.text == "" for one in known):
            return Check(spec.says, CheckState.NOT_CHECKED, names)
        texts = {name: fields[name].text for name in names}
        if isinstance(spec.test, UniqueCheck):
            return self._judge_unique(spec, texts[spec.test.field], source)
        why = self._violation(spec, texts, hypotheses)
        if why:
            return Check(spec.says, CheckState.FAILS, names, why)
        if all(name in priors for name in names):
            likely, alone = 1.0, 1.0
            for name in names:
                likely *= priors[name].get(texts[name], 0.0)
                alone *= max(share for text, share in priors[name].items() if text != REST)
            if likely < _LEAST_LIKELY * alone:
                best = {name: max(hypotheses[name].texts, key=lambda pair: pair[1])[0] for name in names}
                why = self._violation(spec, best, hypotheses) or "only an unlikely reading satisfies it"
                return Check(spec.says, CheckState.FAILS, names, why)
        return Check(spec.says, CheckState.HOLDS, names)

    def _violation(self, spec: CheckSpec, texts: Mapping[str, str], hypotheses: Mapping[str, Hypotheses]) -> str:
        """Why texts do not satisfy a check, with the arithmetic; empty where they do."""
        test = spec.test
        if isinstance(test, RuleCheck):
            values = {}
            for name, text in texts.items():
                raw = hypotheses[name].raw if name in hypotheses else text
                value = decimal_of(self.template.by_name[name], text, raw)
                if value is None:
                    return f"{name} is {text}, which is not a number"
                values[name] = value
            return "" if test.rule.holds(values) else _arithmetic(test, values)
        text = texts[spec.fields[0]]
        if isinstance(test, DigitsCheck):
            return "" if passes(test.scheme, text) else f"{text} has a wrong check digit"
        if isinstance(test, ListCheck):
            lookup = self._lookups[spec]
            near = ", ".join(lookup.nearest(text))
            return "" if text in lookup else f"{text} is not in {test.path.name}; near it are {near}"
        assert isinstance(test, RangeCheck)
        value = decimal_of(
            self.template.by_name[test.field], text, hypotheses[test.field].raw if test.field in hypotheses else text
        )
        low, high = test.bounds
        return "" if value is not None and low <= value <= high else f"{value} is outside {low} to {high}"

    def _judge_unique(self, spec: CheckSpec, text: str, source: str) -> Check:
        first = self._seen[spec].setdefault(text, source)
        if first != source:
            return Check(spec.says, CheckState.FAILS, spec.fields, f"{text} is also in {first}")
        return Check(spec.says, CheckState.HOLDS, spec.fields)

    def _with_copies(self, fields: dict[str, Field]) -> dict[str, Field]:
        """The fields with the columns that lists add to them."""
        for spec, lookup in self._lookups.items():
            assert isinstance(spec.test, ListCheck)
            field = fields.get(spec.test.field)
            if field is not None and field.text in lookup:
                row = lookup.rows[field.text]
                fields[field.name] = replace(field, copied={name: row[name] for name in spec.test.copy})
        return fields


def outcome_of(
    template: Template, fields: Mapping[str, Field], checks: Sequence[Check], missing: Sequence[int]
) -> RecordOutcome:
    """`read` only if every required field is, no field is a doubt, no check fails and no page is missing."""
    written = [field for name, field in fields.items() if template.by_name[name].kind.is_written or field.value]
    if fields and not missing and all(one.outcome is FieldOutcome.BLANK for one in written):
        return RecordOutcome.BLANK
    lacking = any(spec.required and (spec.name not in fields or fields[spec.name].outcome is not FieldOutcome.READ)
                  for spec in template.fields)  # fmt: skip
    doubted = any(field.outcome is FieldOutcome.DOUBT for field in fields.values())
    failing = any(check.state is CheckState.FAILS for check in checks)
    return RecordOutcome.DOUBT if lacking or doubted or failing or missing else RecordOutcome.READ


def _range_chance(spec: FieldSpec, bounds: tuple[Decimal, Decimal], length: int) -> float:
    """The fraction of numbers of this length within the bounds."""
    numbers = 10 ** max(length, 1)
    width = (bounds[1] - bounds[0]).scaleb(spec.places or 0) + 1
    return float(min(max(width / numbers, Decimal("0.01")), Decimal("0.99")))


def _doubted(field: Field, check: Check) -> Field:
    """A field of a check that fails."""
    if field.by == "person":
        return field
    return replace(field, outcome=FieldOutcome.DOUBT, note=check.says)


def _arithmetic(test: RuleCheck, values: Mapping[str, Decimal]) -> str:
    """The rule with the values in place of the names, and by how much it is off."""
    wanted = "0" if test.rule.comparison == "==" else f"{test.rule.comparison} 0"
    terms: Sequence[str] = [
        f"{'-' if scale < 0 else '+'} {'' if abs(scale) == 1 and names else abs(scale)}"
        f"{' x '.join(str(values[name]) for name in names)}"
        for scale, names in test.rule.terms
    ]
    return f"{' '.join(terms).removeprefix('+ ')} = {test.rule.residual(values)}, which must be {wanted}"
