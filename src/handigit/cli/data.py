"""`handigit data`: fetch, show and draw data sets."""

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators

from handigit.cli.shared import load_data
from handigit.cli.terminal import out, say, watch_bytes
from handigit.settings import Settings

Output = Annotated[Path, Parameter(name=["--output", "-o"])]
Count = Annotated[int, Parameter(validator=validators.Number(gt=0))]

data = App(name="data", help="Get and look at data sets.")


@data.command
def fetch(*, from_: Annotated[Path | None, Parameter(name="--from")] = None) -> None:
    """Download MNIST's files into the data folder and verify them.

    Examples:
        handigit data fetch
        handigit data fetch --from ~/Downloads/mnist.zip

    Args:
        from_: A local folder or archive with the four files, instead of the network.
    """
    from handigit.data import fetch_mnist

    with watch_bytes() as on_bytes:
        downloads = fetch_mnist(Settings().data, origin=from_, progress=on_bytes)
    for download in downloads:
        say(f"{download.path}  ({download.origin})")


@data.command
def show(source: str = "mnist", *, part: Literal["train", "test"] = "train", report: Path | None = None) -> None:
    """Show a data set: shape, class balance, pixel intensities, samples.

    Examples:
        handigit data show mnist
        handigit data show drawings/ --report out/drawings

    Args:
        source: A set in the data folder by name, or a path: IDX, CSV, NPZ, or a folder of images by class.
        part: Which part, if the set has two.
        report: Folder in which to write the same as an HTML page with PNG plots.
    """
    from handigit.data.show import describe

    dataset = load_data(source, part)
    out.print(describe(dataset))
    if report:
        from handigit.evaluate.report import write_data_report

        page = write_data_report(
            report, name=dataset.name, glyphs=dataset.glyphs, labels=dataset.labels, fingerprint=dataset.fingerprint
        )
        say(f"wrote {page}")


@data.command
def synth(
    count: Count = 1000,
    *,
    output: Output,
    sheet: Path | None = None,
    what: Literal["digits", "nondigits"] = "digits",
    seed: int = 0,
) -> None:
    """Draw synthetic glyphs: digits in many hands, or non-digits.

    Examples:
        handigit data synth 10000 -o digits.npz --sheet digits.png
        handigit data synth 2000 -o others.npz --what nondigits

    Args:
        count: Number of glyphs.
        output: The .npz file to write; `handigit data show` and recipes read it.
        sheet: A PNG in which to show the first 400.
        what: Digits, or letters, scribbles, dashes and other non-digits.
        seed: Equal seeds draw equal glyphs.
    """
    import cv2

    from handigit.data import Dataset, save_npz
    from handigit.synth import contact_sheet, digits, nondigits

    drawn = (digits if what == "digits" else nondigits)(count, seed=seed)
    save_npz(Dataset(output.stem, drawn.glyphs, drawn.labels if what == "digits" else None), output)
    say(f"wrote {output}: {len(drawn):,} {what}")
    if sheet:
        cv2.imwrite(str(sheet), contact_sheet(drawn.glyphs[:400], columns=25))
        say(f"wrote {sheet}")


@data.command
def synth_numbers(folder: Path, /, *, count: Count = 200, sheet: Path | None = None, seed: int = 0) -> None:
    """Draw synthetic crops of numbers, as on forms and cheques: pictures, and a CSV of their texts.

    Examples:
        handigit data synth-numbers crops/ --count 500 --sheet crops.png

    Args:
        folder: Folder for the pictures and labels.csv; the recipe of a number model accepts it as its strings.
        count: Number of crops.
        sheet: A PNG in which to show the first 100, each with its line as a model sees it.
        seed: Equal seeds draw equal crops.
    """
    import csv

    import cv2
    import numpy as np

    from handigit.synth.crops import contact_sheet, draw_crop

    rng = np.random.default_rng(seed)
    crops = [draw_crop(rng) for _ in range(count)]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "labels.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["file", "text"])
        for index, crop in enumerate(crops):
            name = f"{index:05d}.png"
            cv2.imwrite(str(folder / name), crop.pixels)
            table.writerow([name, crop.text])
    say(f"wrote {folder}: {count:,} crops and labels.csv")
    if sheet:
        cv2.imwrite(str(sheet), contact_sheet(crops[:100]))
        say(f"wrote {sheet}")
