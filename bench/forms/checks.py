"""What checks are worth: real handwritten numbers read alone, with check digits, with a roster, in sums.

    python -m bench.forms.checks [--numbers 1017]

The numbers are those of `strings/unipen` and `strings/orand_car_a`, never learnt from; wrong labels are corrected, and
the lengths are known. As no one wrote check digits, each check is set so that the true value passes: a text passes Luhn
if its remainder is that of the truth, sums are a + b = c + constant. `wrong_sums` has two writers in a hundred who add
wrongly. Results go to bench/results/forms.json.
"""

import argparse
import csv
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import numpy as np

from bench.forms.placement import FILE
from bench.read.numbers import WRONG_LABELS
from bench.results_io import load_results, save_results
from handigit import Reader, open_pages
from handigit.forms.joint import Factor, RuleFactor, TextFactor, decode_jointly, distribution
from handigit.forms.number_reader import NumberReader
from handigit.forms.rules import Rule
from handigit.settings import Settings

ROSTER = 300
SLIPS = 0.02
SHUFFLES = 10
"""How often the numbers are put into other sums, so that there are some seventy slips."""


@dataclass(frozen=True)
class Read:
    """A number with the texts that it may be."""

    truth: str
    texts: tuple[tuple[str, float], ...]


def read_numbers(count: int, rng: np.random.Generator, reader: NumberReader) -> list[Read]:
    """Some numbers of two digits or more, read with their length known."""
    found: list[tuple[Path, str]] = []
    for name in ("unipen", "orand_car_a"):
        folder = Settings().data / "strings" / name
        with (folder / "labels.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                path = next(p for p in (folder / row["file"], folder / "images" / row["file"]) if p.is_file())
                digits = WRONG_LABELS.get(name, {}).get(path.name, row["label"])
                if digits is not None and len(digits) >= 2:
                    found.append((path, digits))
    chosen = [found[index] for index in rng.permutation(len(found))[:count]]
    by_length: dict[int, list[tuple[Path, str]]] = defaultdict(list)
    for path, digits in chosen:
        by_length[len(digits)].append((path, digits))
    read = []
    for length, entries in by_length.items():
        crops = [next(open_pages(path)) for path, _ in entries]
        answers = reader.read(crops, pattern=rf"\d{{{length}}}")
        read += [Read(digits, tuple(entry.shares.items())) for (_, digits), entry in zip(entries, answers, strict=True)]
    return [read[index] for index in rng.permutation(len(read))]


def luhn_remainder(text: str) -> int:
    """The Luhn sum modulo 10."""
    doubled = [sum(divmod(2 * int(digit), 10)) for digit in text[-2::-2]]
    return (sum(map(int, text[-1::-2])) + sum(doubled)) % 10


CHECKS: dict[str, tuple[Callable[[str], int], float]] = {
    "luhn": (luhn_remainder, 0.1),
    "mod11": (lambda text: sum(w * int(c) for w, c in enumerate(reversed(text), 1)) % 11, 1 / 11),
    "mod97": (lambda text: int(text) % 97, 1 / 97),
}


class Tally:
    """Fields and groups: right, read, wrong."""

    def __init__(self) -> None:
        self.fields = self.right = self.read = self.wrong = 0
        self.groups = self.groups_read = self.groups_wrong = 0

    def add(self, group: Sequence[Read], factors: Sequence[Factor], threshold: float) -> None:
        """Decode a group of numbers jointly and count; a check that only the unlikely satisfies makes doubts."""
        names = [str(place) for place in range(len(group))]
        priors = {name: distribution(one.texts) for name, one in zip(names, group, strict=True)}
        found = decode_jointly(priors, factors) if factors else priors
        best = {
            name: max((t for t in shares if t), key=shares.__getitem__, default="") for name, shares in found.items()
        }
        likely = np.prod([priors[name].get(text, 0) for name, text in best.items()])
        alone = np.prod([max((p for t, p in shares.items() if t), default=0) for shares in priors.values()])
        holds = not factors or bool(all(_passes(factor, best) for factor in factors) and likely >= 1e-3 * alone)
        read = [holds and bool(best[n]) and found[n].get(best[n], 0) >= threshold for n in names]
        right = [best[name] == one.truth for name, one in zip(names, group, strict=True)]
        self.fields += len(group)
        self.right += sum(right)
        self.read += sum(read)
        self.wrong += sum(r and not ok for r, ok in zip(read, right, strict=True))
        self.groups += 1
        self.groups_read += all(read)
        self.groups_wrong += all(read) and not all(right)

    def as_dict(self) -> dict[str, float]:
        """Counts and fractions."""
        return {name: int(value) for name, value in vars(self).items()} | {
            "fraction_right": round(self.right / self.fields, 4),
            "fraction_read": round(self.read / self.fields, 4),
            "wrong_among_read": round(self.wrong / max(self.read, 1), 5),
            "fraction_groups_read": round(self.groups_read / self.groups, 4),
            "wrong_among_groups_read": round(self.groups_wrong / max(self.groups_read, 1), 5),
        }


def _passes(factor: Factor, texts: dict[str, str]) -> bool:
    if isinstance(factor, TextFactor):
        return texts[factor.field] in factor.passing
    assert isinstance(factor, RuleFactor)
    values = {name: factor.values[name].get(texts[name]) for name in factor.fields}
    return None not in values.values() and factor.rule.holds(values)  # type: ignore[arg-type]


def sums(numbers: Sequence[Read], threshold: float, rng: np.random.Generator, *, slips: float) -> dict[str, float]:
    """Three numbers that add up, but for the slips of their writers; the numbers are grouped `SHUFFLES` times."""
    tally = Tally()
    for group in _triples(numbers, rng):
        a, b, c = (int(one.truth) for one in group)
        off = int(rng.choice([-1, 1])) * int(rng.integers(1, 10)) * 10 ** int(rng.integers(0, 3))
        constant = a + b - c + (off if rng.random() < slips else 0)
        terms = ((Decimal(1), ("0",)), (Decimal(1), ("1",)), (Decimal(-1), ("2",)), (Decimal(-constant), ()))
        values = {str(place): {text: Decimal(int(text)) for text, _ in one.texts} for place, one in enumerate(group)}
        tally.add(group, [RuleFactor(Rule("a + b == c + k", terms, "=="), values)], threshold)
    return tally.as_dict()


def _triples(numbers: Sequence[Read], rng: np.random.Generator) -> Iterator[list[Read]]:
    for _ in range(SHUFFLES):
        order = rng.permutation(len(numbers))
        for start in range(0, len(order) - 2, 3):
            yield [numbers[index] for index in order[start : start + 3]]


def main() -> None:
    """Measure and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--numbers", type=int, default=1017)
    parser.add_argument("--seed", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    reader = NumberReader(Reader())
    numbers, threshold = read_numbers(options.numbers, rng, reader), reader.threshold
    table: dict[str, object] = {}
    for name, factors in _factories(rng).items():
        tally = Tally()
        for number in numbers:
            if name != "roster of 300" or len(number.truth) >= 5:
                tally.add([number], factors(number), threshold)
        table[name] = tally.as_dict()
    table["a + b = c"] = sums(numbers, threshold, rng, slips=0.0)
    table["a + b = c, 2 % add wrongly"] = sums(numbers, threshold, rng, slips=SLIPS)
    for name, row in table.items():
        print(name, row)
    results = load_results(FILE)
    results["checks"] = {"command": f"python -m bench.forms.checks --numbers {options.numbers} --seed {options.seed}",
                         "numbers": len(numbers), "table": table}  # fmt: skip
    save_results(FILE, results)


def _factories(rng: np.random.Generator) -> dict[str, Callable[[Read], list[Factor]]]:
    """What checks each number, by name."""

    def of_remainder(check: Callable[[str], int], chance: float) -> Callable[[Read], list[Factor]]:
        def factor(one: Read) -> list[Factor]:
            passing = frozenset(text for text, _ in one.texts if check(text) == check(one.truth))
            return [TextFactor("0", passing, chance)]

        return factor

    found: dict[str, Callable[[Read], list[Factor]]] = {"length alone": lambda _: []}
    found |= {name: of_remainder(check, chance) for name, (check, chance) in CHECKS.items()}
    return found | {"roster of 300": lambda one: [_roster(one, rng)]}


def _roster(one: Read, rng: np.random.Generator) -> TextFactor:
    length = len(one.truth)
    roster = {one.truth} | {f"{int(rng.integers(10**length)):0{length}d}" for _ in range(ROSTER - 1)}
    passing = frozenset(text for text, _ in one.texts if text in roster)
    return TextFactor("0", passing, min(len(roster) / 10**length, 0.5))


if __name__ == "__main__":
    main()
