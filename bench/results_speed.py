"""The results page's tables of time and size: training, the networks alone, reading, the install."""

from collections.abc import Mapping
from typing import Any

from results_models import Benches, label, measured
from tables import NOTHING, commands, mean_sd, megabytes, part, prose, table


def training_part(benches: Benches) -> str:
    """Training speed beside its peers, where it was measured."""
    found = benches.get("train_speed", {})
    rows = {name: one for name, one in found.items() if isinstance(one, Mapping)}
    if not rows:
        return ""
    columns = list(dict.fromkeys(key for one in rows.values() for key, value in one.items() if _is_figure(value)))
    cells = [[name, *(_figure(one.get(column)) for column in columns)] for name, one in rows.items()]
    headings = ["", *(column.replace("_", " ") for column in columns)]
    return part("Training speed", commands("python bench/train_speed.py"), table(headings, cells))


def _is_figure(value: Any) -> bool:
    return isinstance(value, int | float | str) or (isinstance(value, Mapping) and {"mean", "sd"} <= value.keys())


def _figure(value: Any) -> str:
    if isinstance(value, Mapping):
        return mean_sd(value)
    return NOTHING if value is None else f"{value:.4g}" if isinstance(value, float) else str(value)


def model_speed_part(benches: Benches) -> str:
    """The networks alone, in float32 and in eight bits."""
    found = measured(benches, "model_speed")
    rows = [
        [
            label(name),
            form.replace("_", ", "),
            megabytes(one[form]["bytes"]),
            f"{one[form]['ms_at_256']:.3f}",
            f"{one[form]['ms_at_1']:.3f}",
            f"{one[form]['validation']:.2f}" if "validation" in one[form] else NOTHING,
            f"{one[form]['test']:.2f}",
        ]
        for name, one in found.items()
        for form in one
        if isinstance(one[form], Mapping)
    ]
    if not rows:
        return ""
    files = " ".join(f"{name}=runs/{name}-seed0/model.onnx" for name in found)
    headings = [
        "model",
        "arithmetic",
        "MB",
        "ms a digit, batch 256",
        "ms, batch 1",
        "MNIST validation, %",
        "MNIST test, %",
    ]
    load = max(one["load_average"] for one in found.values())
    note = (
        "ONNX Runtime on one core, finished glyphs in, logits out; all files take turns, medians. Whether eight bits "
        f"pay is judged on validation glyphs. Load average while measuring: at most {load:.1f}."
    )
    command = commands(f"python bench/model_speed.py --model {files}")
    return part("The networks alone", command, prose(note), table(headings, rows))


def read_speed_part(benches: Benches) -> str:
    """Reading, beside plain ONNX Runtime."""
    speed = benches.get("read_speed")
    if not speed:
        return ""
    single, many, cold = speed["one_by_one_one_core"], speed["batched_two_threads"], speed["cold_start"]
    rows = [
        ["one 28x28 picture, one core, median ms", *(f"{ms:.2f}" for ms in single.values()), "1.00"],
        ["10,000 pictures, two threads, a second", *(f"{rate:,.0f}" for rate in many.values()), "5,000"],
        ["`handigit read one.png` from a cold start, s", *(f"{time:.2f}" for time in cold.values()), "0.60"],
    ]
    note = (
        "Reader and peer take turns in one process. The peer is the same ONNX file run by plain ONNX Runtime on "
        "finished glyphs; for the cold start it is a Python that imports NumPy. Load average while measuring: "
        f"{speed['machine']['load_average']:.1f}."
    )
    command = commands("python bench/read_speed.py")
    return part("Reading speed", command, prose(note), table(["", "Handigit", "peer", "wanted"], rows))


def size_part(benches: Benches) -> str:
    """The base install."""
    size = benches.get("install_size")
    if not size:
        return ""
    largest = ", ".join(f"{name} {value:.0f}" for name, value in size["largest"].items())
    text = f"The base install is {size['megabytes']:.0f} MB (wanted: at most 400), of which: {largest}."
    return part("Size", commands("python bench/install_size.py"), prose(text))
