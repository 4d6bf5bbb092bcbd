"""The results page's tables from `robustness.py`: other sets, corruptions, variations, rejection, confidence."""

from collections.abc import Mapping
from statistics import mean
from typing import Any

from results_models import BASELINE, SETS, SHIPPED, Benches, label, measured
from tables import bounded, commands, part, percent, prose, table


def away_part(benches: Benches) -> str:
    """The shipped model on other people's digits, the baseline beside it."""
    found = measured(benches, "robustness")
    if SHIPPED not in found:
        return ""
    headings = ["set", "n", "how", "right, %", "read at 1 % wanted error", "wrong among read, %"]
    beside = found.get(BASELINE)
    if beside:
        headings += ["tutorial: right", "read", "wrong among read"]
    rows = [_set_row(name, found[SHIPPED]["sets"][name], beside["sets"][name] if beside else None) for name in SETS]
    return part("Away from home", _calls(benches), prose(AWAY_NOTE), table(headings, rows))


def _calls(benches: Benches) -> str:
    """The calls behind every table from here to the confidence."""
    found = measured(benches, "robustness")
    files = {name: "model-int8" if name == SHIPPED else "model" for name in found}
    through = [f"{name}=runs/{name}-seed0/{file}.onnx" for name, file in files.items() if name != BASELINE]
    counts = f"--direct {found[SHIPPED]['direct']['n']} --raw {found[SHIPPED]['raw']['n']}"
    lines = [f"python bench/robustness.py {counts} --model {' '.join(through)}"]
    if BASELINE in found:
        lines.append(f"python bench/robustness.py {counts} --resized {BASELINE}=runs/{BASELINE}-seed0/model.onnx")
    return commands(*lines)


AWAY_NOTE = """Raw pictures through `Reader.digits`. Right: the value is the label, whatever the outcome. Read: the
share sure enough at `target_error` 0.01; of those, the share that was wrong, with its upper 95 % bound. The card's
thresholds were chosen on validation data alone, so on other people's hands more can be wrong than was wanted."""


def _set_row(name: str, ours: Mapping[str, Any], beside: Mapping[str, Any] | None) -> list[str]:
    """One set."""
    known = "its other part was learnt from" if name == "optdigits" else "learnt from"
    how = known if ours["learnt_from"] else "zero-shot"
    row = [name, f"{ours['n']:,}", how, *_read(ours)]
    return row + (_read(beside) if beside else [])


def _read(one: Mapping[str, Any]) -> list[str]:
    """Right, read, wrong among read."""
    return [percent(one["right"]), percent(one["read"]), bounded(one["wrong_among_read"], one["wrong_bound_95"])]


def corruption_part(benches: Benches) -> str:
    """Every corruption for every model, both ways."""
    found = measured(benches, "robustness")
    if not found:
        return ""
    first = next(iter(found.values()))
    through_reader = {name: one for name, one in found.items() if name != BASELINE}
    return part(
        "Corrupted",
        prose(CORRUPTION_NOTE.format(n=first["direct"]["n"])),
        _corruption_table(found, "direct"),
        f"The first {first['raw']['n']:,} as raw pictures, through `Reader.digits`:",
        _corruption_table(through_reader, "raw"),
    )


CORRUPTION_NOTE = """MNIST test images, corrupted after MNIST-C's description (Mu & Gilmer 2019) by our own code: not
the published files, so compare with care. The first {n:,}, given to the network as they are, as MNIST-C is used;
percent right:"""


def _corruption_table(found: Mapping[str, Any], how: str) -> str:
    """A row a corruption, a column a model, the mean last."""
    columns = [one[how]["corruptions"] for one in found.values()]
    if not columns:
        return ""
    rows = [[name.replace("_", " "), *(percent(column[name], digits=1) for column in columns)] for name in columns[0]]
    rows.append(["**mean**", *(percent(mean(column.values()), digits=1) for column in columns)])
    rows.append(["untouched", *(percent(one[how]["clean"], digits=1) for one in found.values())])
    return table(["corruption", *map(label, found)], rows)


def variation_part(benches: Benches) -> str:
    """The metamorphic grids: the step of each that costs most."""
    found = measured(benches, "robustness")
    if not found:
        return ""
    grids = next(iter(found.values()))["raw"]["grids"]
    rows = [[name, *(_hardest(one["raw"]["grids"][name]) for one in found.values())] for name in grids]
    note = (
        "The same images shifted over a frame of twice their side, scaled, turned, with another pen, inverted, pale or "
        "through JPEG: changes after which a digit is still the same digit. Percent right at the hardest step of each:"
    )
    return part("Varied", prose(note), table(["grid", *map(label, found)], rows))


def _hardest(steps: Mapping[str, float]) -> str:
    """The least share right, and where."""
    step = min(steps, key=lambda name: steps[name])
    return f"{percent(steps[step], digits=1)} ({step})"


def rejection_part(benches: Benches) -> str:
    """What is turned away, and what that costs: the shipped model in full, then all side by side."""
    found = measured(benches, "robustness")
    if SHIPPED not in found:
        return ""
    ours = found[SHIPPED]["rejection"]
    kinds = {f"digits of {name}": one for name, one in ours["digits"].items()} | ours["no_digits"]
    headings = ["what", "n", "called no digit, %", "not read, %", f"at {percent(ours['loss'], digits=1)} % loss, %"]
    shares = ("called_no_digit", "not_read", "under_floor_at_loss")
    rows = [
        [name, f"{one['n']:,}", *(percent(one[share], digits=1) for share in shares)] for name, one in kinds.items()
    ]
    beside = [
        [
            name,
            *(percent(one["rejection"]["no_digits"][name]["under_floor_at_loss"], digits=1) for one in found.values()),
        ]
        for name in ours["no_digits"]
    ]
    return part(
        "What is no digit",
        prose(REJECTION_NOTE),
        table(headings, rows),
        "All models at that loss:",
        table(["what", *map(label, found)], beside),
    )


REJECTION_NOTE = """Look-alikes (o, O, l, I and so on) are scored apart; of Omniglot only pictures are used
that no recipe learns from. Called no digit: `blank` or `not_a_number`, by the floor in the card.
Not read: these and `doubt`, at the card's threshold for 1 %. At 0.5 % loss: under the floor that loses that share of
the digits of usps and unipen together, a ruler for comparing models and not a setting of any. The first rows are real
digits, so what is turned away there is lost. Scribbles and blanks are drawn by our own synthesiser, those on paper
photographed by it."""


def confidence_part(benches: Benches) -> str:
    """Calibration, and how much can be read at which error."""
    found = measured(benches, "robustness")
    if not found:
        return ""
    rows = [
        [label(name), percent(one["confidence"]["calibration_error"]), percent(float(error), digits=1), *_rates(both)]
        for name, one in found.items()
        for error, both in one["confidence"]["read_rates"].items()
    ]
    headings = ["model", "ECE, %", "wanted error, %", "most that can be read, %", "its error at most", "by the card, %"]
    n = next(iter(found.values()))["confidence"]["n"]
    note = CONFIDENCE_NOTE.format(n=n)
    return part("What confidence is worth", prose(note), table([*headings, "its error"], rows))


def _rates(both: Mapping[str, Any]) -> list[str]:
    """The best threshold's share and bound, then the card's share and error."""
    best, card = both["best"], both["card"]
    wrong = card["wrong"] / max(1, card["accepted"])
    return [
        percent(best["accepted"] / best["n"]),
        percent(best["bound"]["high"]),
        percent(card["accepted"] / card["n"]),
        bounded(wrong, card["bound"]["high"]),
    ]


CONFIDENCE_NOTE = """The {n:,} digits of usps (test) and unipen together, which no model here has learnt from. ECE:
expected calibration error, 15 bins (Guo et al. 2017). The most that can be read: the surest answers first, as many as
keep the wanted error; that threshold is found on these very digits, so it flatters itself. Beside it what the threshold
in the card reads, which was bought on validation data. Bounds are Clopper and Pearson's, upper, 95 %."""
