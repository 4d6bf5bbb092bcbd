"""The results page's part on numbers: strings right, what was read at wanted error rates, general OCR, pages, speed."""

from collections.abc import Mapping
from typing import Any

from results_models import Benches
from tables import NOTHING, bounded, commands, mean_sd, part, percent, prose, table

SETS = {
    "mnist_strings": "MNIST test strings",
    "orand_car_a": "cheque amounts (orand_car_a)",
    "unipen": "tablet numbers (unipen, two digits and more)",
    "c1_fields": "form fields (c1)",
}
ABOUT = """Zero-shot: no string of these sets was learnt from, though their misread ones were looked at. A string
counts when all its digits are right. The columns on reading are at the wanted error rate that they name, with the share
of wrong ones among those read and its upper 95 % bound (Clopper and Pearson). The geometry that finds numbers on pages
was adjusted while looking at the c1 forms, so their figures are of development."""
PEERS = """The same crops in the same run, as many as were given to general OCR: RapidOCR 1.4.4's recogniser, and
Tesseract with a digit whitelist."""


def numbers_part(benches: Benches) -> str:
    """Numbers and pages, where they were measured."""
    found = benches.get("numbers", {})
    measured = {title: found[name] for name, title in SETS.items() if name in found}
    if not measured:
        return ""
    return part(
        "Numbers",
        commands("python bench/read_numbers.py --peers"),
        prose(ABOUT),
        table(
            [
                "set",
                "n",
                "right, %",
                "wrong characters, %",
                "read at 1 %",
                "wrong",
                "read at 0.1 %",
                "wrong",
                "calibration error, %",
            ],
            [_row(title, one) for title, one in measured.items()],
        ),
        prose(PEERS),
        table(
            ["set", "RapidOCR, %", "ms", "Tesseract, %", "ms"], [_peers(title, one) for title, one in measured.items()]
        ),
        prose(_rest(found)),
        *_documents(benches.get("documents", {})),
        *_tuned(benches.get("tune_numbers", {})),
    )


def _documents(found: Mapping[str, Any]) -> list[str]:
    """Memory and time of long documents, one sentence a kind."""
    said = [
        f"A {kind.upper()} of {one['pages']} pages ({one['file_mb']} MB): at most {one['both_mb']} MB in reader and "
        f"child together, {one['ms_a_page']:.0f} ms a page to decode."
        for kind, one in found.items()
    ]
    return [commands("python bench/documents.py --pages 500 --keep"), prose(" ".join(said))] if said else []


def _tuned(found: Mapping[str, Any]) -> list[str]:
    """What labelled strings of one's own add."""
    if not found:
        return []
    said = (
        f"Tuned on {found['strings']} strings of orand_car_a and scored on the other folds (float32, from the number "
        f"model's run of seed {found['seed']}; these weights are not shipped): {mean_sd(found['before'])} % right "
        f"before, {mean_sd(found['after'])} after."
    )
    return [commands("python bench/tune_numbers.py --folds 2"), prose(said)]


def _row(title: str, one: Mapping[str, Any]) -> list[str]:
    cells = [title, str(one["crops"]), percent(one["right"]), percent(one["character_error"])]
    for name in ("at_1_percent", "at_0.1_percent"):
        cells += [
            percent(one[name]["read"], digits=1),
            bounded(one[name]["error"], one[name]["error_at_most"], digits=1),
        ]
    return [*cells, percent(one["calibration_error"], digits=1)]


def _peers(title: str, one: Mapping[str, Any]) -> list[str]:
    cells = [title]
    for name in ("rapidocr", "tesseract"):
        peer = one.get("peers", {}).get(name)
        cells += [percent(peer["right"], digits=1), f"{peer['ms']:.1f}"] if peer else [NOTHING, NOTHING]
    return cells


def _rest(found: Mapping[str, Any]) -> str:
    """Lines that hold no number, pages, speed and memory, in words."""
    said = []
    told = {title: found.get(name, {}).get("right_told_digits") for name, title in SETS.items()}
    if known := [f"{percent(share)} % of {title}" for title, share in told.items() if share]:
        said.append(f"Told that only digits can stand there (`alphabet`), right: {', '.join(known)}.")
    if strangers := found.get("strangers"):
        listed = ", ".join(f"{name} {percent(share, digits=1)} %" for name, share in strangers.items())
        said.append(f"Not read, of lines that hold no number: {listed}.")
    if pages := found.get("c1_pages"):
        said.append(
            f"Whole c1 pages: {percent(pages['found'], digits=1)} % of {pages['fields']} fields found, "
            f"{percent(pages['right'], digits=1)} % with the right text; {pages['read_elsewhere']} other numbers read."
        )
    if speed := found.get("speed"):
        said.append(
            f"`Reader.number` on a crop of 200x60: {speed['ms_200x60']:.1f} ms, median, one core; "
            f"{speed['a_second_two_threads']:.0f} numbers a second in batches on two."
        )
    if memory := found.get("memory"):
        said.append(f"Memory grew by {memory['growth_mb']:.1f} MB over {memory['calls']:,} calls.")
    return " ".join(said)
