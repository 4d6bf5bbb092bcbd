"""Joint decoding: the probabilities of the texts of several fields, given the checks between them.

Each field has its hypotheses, and `REST` for every other text. A check is a factor over its fields. Where checks share
no fields in a circle, sum-product messages give the exact posteriors; with row and column totals they are iterated
(loopy belief propagation, Pearl 1988). Long sums are convolved, so that their cost grows with their length only.

People add wrongly. So a check is not absolute: with probability `slip` the written texts do not satisfy it, and then
it is half of the time off by one digit, as an error of carrying is. Without the second half, a wrong sum whose fields
were all read rightly would be taken for a right sum with one digit misread.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from itertools import product
from typing import Final, Protocol, runtime_checkable

from handigit.forms.rules import Rule

REST: Final = ""
"""All texts that are not among a field's hypotheses."""
SLIP: Final = 0.02
"""Fraction of sums that people write down wrongly."""
COPY_SLIP: Final = 0.002
"""Fraction of numbers that people copy wrongly, as a check digit or a list would show."""
UNLISTED: Final = 0.13
"""Minimum fraction of the probability left by the best text that belongs to texts in no list, `REST`: of 59 numbers of
validation writers whose best text was wrong, the list lacked 8."""
_ROUNDS: Final = 12
_DAMPING: Final = 0.5
_MOST_SUMS: Final = 4000
"""Partial sums that are kept."""
_MOST_COMBINATIONS: Final = 60_000

Distribution = dict[str, float]
"""Probability of each text of a field, `REST` included; they sum to 1."""


def distribution(texts: Iterable[tuple[str, float]]) -> Distribution:
    """The probabilities of a field from its hypotheses, with `REST` for the others."""
    found = {text: probability for text, probability in texts if probability > 0}
    if not found:
        return {REST: 1.0}
    total = sum(found.values())
    rest = max(1 - total, UNLISTED * (1 - max(found.values())), 1e-6)
    return {text: probability * (1 - rest) / total for text, probability in found.items()} | {REST: rest}


@runtime_checkable
class Factor(Protocol):
    """A check as joint decoding sees it."""

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields in it."""
        ...

    def messages(self, beliefs: Mapping[str, Distribution]) -> dict[str, Distribution]:
        """For each field, how well each of its texts fits the estimates of the others."""
        ...


@dataclass(frozen=True, slots=True)
class TextFactor:
    """A check of one field alone: a check digit, a list, a range. `chance`: how often a random text passes."""

    field: str
    passing: frozenset[str]
    chance: float
    slip: float = COPY_SLIP

    @property
    def fields(self) -> tuple[str, ...]:
        """Its one field."""
        return (self.field,)

    def messages(self, beliefs: Mapping[str, Distribution]) -> dict[str, Distribution]:
        """Likelihood of each text: high if it passes."""
        off = self.slip * self.chance / max(1 - self.chance, 0.5)
        message = {text: (1 - self.slip) + off if text in self.passing else off for text in beliefs[self.field]}
        return {self.field: message | {REST: self.chance}}


@dataclass(frozen=True)
class RuleFactor:
    """A rule between the values of fields; `values` maps each field's texts to its values."""

    rule: Rule
    values: Mapping[str, Mapping[str, Decimal]]
    slip: float = SLIP

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of the rule."""
        return self.rule.fields

    def messages(self, beliefs: Mapping[str, Distribution]) -> dict[str, Distribution]:
        """Likelihood of each text, summed over the texts of the other fields."""
        if self.rule.is_linear and self.rule.comparison == "==":
            return self._by_convolution(beliefs)
        return self._by_enumeration(beliefs)

    @cached_property
    def chance(self) -> float:
        """How often random values satisfy the rule: one in the range of its largest term, half for an inequality."""
        if self.rule.comparison != "==":
            return 0.5
        return float(0.1**self._digits)

    @cached_property
    def _digits(self) -> int:
        """Digits of the largest value in the rule, in units of its last place."""
        largest = [
            max((abs(value) for value in self.values[name].values()), default=Decimal(0)) for name in self.fields
        ]
        return max(len(str(int(max(largest) / self._unit))), 1)

    @cached_property
    def _unit(self) -> Decimal:
        """The smallest step between both sides of the rule, such as 0.01."""
        values = [value for texts in self.values.values() for value in texts.values()]
        exponents = [number.as_tuple().exponent for number in (*values, *(scale for scale, _ in self.rule.terms))]
        places = [-exponent for exponent in exponents if isinstance(exponent, int)]
        return Decimal(1).scaleb(-2 * max([*places, 0]) if any(abs(scale) != 1 for scale, _ in self.rule.terms)
                                 else -max([*places, 0]))  # fmt: skip

    def slip_weights(self) -> tuple[float, float, dict[int, float]]:
        """Weight of a combination that satisfies the rule, of any other, and of near misses by their residual."""
        chance, digits = self.chance, self._digits
        anywhere = 0.5 * self.slip * chance
        if self.rule.comparison != "==":
            return 1 - self.slip + anywhere, 2 * anywhere, {}
        # Errors of carrying are off by one; other slips of the pen change a digit to any.
        near = {digit: 0.25 * self.slip / ((2 if digit == 1 else 16) * digits) for digit in range(1, 10)}
        misses = {sign * digit * 10**place: near[digit]
                  for place in range(digits) for digit in near for sign in (1, -1)}  # fmt: skip
        return 1 - self.slip + anywhere, anywhere, misses

    def _by_convolution(self, beliefs: Mapping[str, Distribution]) -> dict[str, Distribution]:
        (fits, off, misses), unit = self.slip_weights(), self._unit
        constant = int(sum((scale for scale, names in self.rule.terms if not names), start=Decimal(0)) / unit)
        scales = {names[0]: scale for scale, names in self.rule.terms if names}
        steps = {name: {text: int(scales[name] * value / unit) for text, value in self.values[name].items()}
                 for name in self.fields}  # fmt: skip
        terms = {name: _term(beliefs[name], steps[name]) for name in self.fields}
        names = list(self.fields)
        before = [{constant: 1.0}]
        for name in names[:-1]:
            before.append(_convolve(before[-1], terms[name]))
        after = [{0: 1.0}]
        for name in reversed(names[1:]):
            after.append(_convolve(after[-1], terms[name]))
        after.reverse()
        messages = {}
        for place, name in enumerate(names):
            others = _convolve(before[place], after[place])
            known = sum(others.values())
            message = {REST: self.chance}
            for text in beliefs[name]:
                if text != REST:
                    wanted = -steps[name][text]
                    hit = others.get(wanted, 0.0)
                    near = sum(weight * others.get(miss + wanted, 0.0) for miss, weight in misses.items())
                    message[text] = fits * hit + near + off * (known - hit) + self.chance * (1 - known)
            messages[name] = message
        return messages

    def _by_enumeration(self, beliefs: Mapping[str, Distribution]) -> dict[str, Distribution]:
        (fits, off, misses), unit = self.slip_weights(), self._unit
        lists = _shortened({name: [(text, share) for text, share in beliefs[name].items() if text != REST]
                            for name in self.fields})  # fmt: skip
        messages = {name: dict.fromkeys(beliefs[name], 0.0) | {REST: self.chance} for name in self.fields}
        seen = {name: dict.fromkeys(beliefs[name], 0.0) for name in self.fields}
        for combination in product(*lists.values()):
            values = {name: self.values[name][text] for name, (text, _) in zip(lists, combination, strict=True)}
            residual = self.rule.residual(values)
            weight = fits if self.rule.accepts(residual) else off + misses.get(int(residual / unit), 0.0)
            for place, (name, (text, _)) in enumerate(zip(lists, combination, strict=True)):
                others = 1.0
                for other, (_, share) in enumerate(combination):
                    others *= share if other != place else 1.0
                messages[name][text] += others * weight
                seen[name][text] += others
        for name in self.fields:
            for text in beliefs[name]:
                if text != REST:
                    messages[name][text] += self.chance * max(1 - seen[name][text], 0.0)
        return messages


def decode_jointly(priors: Mapping[str, Distribution], factors: Sequence[Factor]) -> dict[str, Distribution]:
    """The posterior of each field, given the checks."""
    incoming: list[dict[str, Distribution]] = [
        {name: dict.fromkeys(priors[name], 1.0) for name in factor.fields} for factor in factors
    ]
    about: dict[str, list[int]] = {name: [] for name in priors}
    for index, factor in enumerate(factors):
        for name in factor.fields:
            about[name].append(index)
    loops = any(len(found) > 1 for found in about.values())
    for turn in range(_ROUNDS if loops else 1):
        changed = 0.0
        for index, factor in enumerate(factors):
            beliefs = {name: _product(priors[name], [incoming[other][name] for other in about[name] if other != index])
                       for name in factor.fields}  # fmt: skip
            for name, message in factor.messages(beliefs).items():
                new, old = _normalised(message), incoming[index][name]
                if turn > 1:
                    new = {text: (1 - _DAMPING) * share + _DAMPING * old[text] for text, share in new.items()}
                changed = max([changed, *(abs(share - old[text]) for text, share in new.items())])
                incoming[index][name] = new
        if changed < 1e-6:
            break
    return {name: _product(prior, [incoming[index][name] for index in about[name]]) for name, prior in priors.items()}


def _term(belief: Distribution, steps: Mapping[str, int]) -> dict[int, float]:
    """The probability of each value of a field, in steps; what `REST` has is missing."""
    term: dict[int, float] = {}
    for text, share in belief.items():
        if text != REST:
            term[steps[text]] = term.get(steps[text], 0.0) + share
    return term


def _convolve(first: Mapping[int, float], second: Mapping[int, float]) -> dict[int, float]:
    """The distribution of the sum; the least likely sums are dropped where there are many."""
    sums: dict[int, float] = {}
    for value, share in first.items():
        for other, weight in second.items():
            total = value + other
            sums[total] = sums.get(total, 0.0) + share * weight
    if len(sums) > _MOST_SUMS:
        kept = sorted(sums.items(), key=lambda pair: -pair[1])[:_MOST_SUMS]
        return dict(kept)
    return sums


def _shortened(lists: dict[str, list[tuple[str, float]]]) -> dict[str, list[tuple[str, float]]]:
    """The likeliest hypotheses of each field, few enough for all combinations to be tried."""
    lists = {name: sorted(found, key=lambda pair: -pair[1]) for name, found in lists.items()}
    while _combinations(lists) > _MOST_COMBINATIONS:
        longest = max(lists, key=lambda name: len(lists[name]))
        lists[longest] = lists[longest][:-1]
    return lists


def _combinations(lists: Mapping[str, Sequence[object]]) -> int:
    count = 1
    for found in lists.values():
        count *= max(len(found), 1)
    return count


def _product(prior: Distribution, messages: Iterable[Distribution]) -> Distribution:
    result = dict(prior)
    for message in messages:
        for text in result:
            result[text] *= message.get(text, 0.0)
    return _normalised(result)


def _normalised(shares: Distribution) -> Distribution:
    total = sum(shares.values())
    return (
        {text: share / total for text, share in shares.items()}
        if total > 0
        else {text: 1 / len(shares) for text in shares}
    )
