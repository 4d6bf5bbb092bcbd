"""The plot of the soak in docs/pictures/soak.svg: memory, descriptors and threads by minute.

python -m bench.report.soak
"""

from pathlib import Path
from typing import Final

import matplotlib

from bench.results_io import RESULTS, load_results

FILE: Final = Path(__file__).parents[2] / "docs" / "pictures" / "soak.svg"
_ROWS: Final = (("mb", "memory in MB"), ("descriptors", "descriptors"), ("threads", "threads"))


def main() -> None:
    """Draw the plot."""
    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "soak", "font.size": 9}
    from matplotlib import pyplot

    samples = load_results(RESULTS / "resilience.json")["soak"]["samples"]
    figure, plots = pyplot.subplots(len(_ROWS), sharex=True, figsize=(6, 4), layout="constrained")
    for plot, (name, label) in zip(plots, _ROWS, strict=True):
        plot.plot([row["minute"] for row in samples], [row[name] for row in samples], color="#1f6f8b")
        plot.set(ylabel=label, ylim=(0, 1.2 * max(row[name] for row in samples)))
    plots[-1].set_xlabel("minutes")
    figure.savefig(FILE, metadata={"Date": None, "Creator": None})


if __name__ == "__main__":
    main()
