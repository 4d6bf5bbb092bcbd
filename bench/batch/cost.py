"""Cost of a batch as it grows, computed from bench/results/batch.json: the table in docs/scale.md.

python -m bench.batch.cost
"""

from typing import Any, Final

from bench.results_io import PROJECT, RESULTS, load_results

PAGE = PROJECT / "docs" / "scale.md"
SIZES: Final = (10**4, 10**6, 10**8, 10**9)
CORE_HOUR_DOLLARS: Final = 0.04
"""A core of a general-purpose virtual machine of a large cloud, on demand, without discounts."""
PUT_DOLLARS, GET_DOLLARS = 5e-6, 4e-7
"""One request to write and one to read an object, at the list prices of a large object store."""
SHARD_INPUTS: Final = 10**6
PART_INPUTS: Final = 2000
_KEY_BYTES: Final = 81
"""A 16-byte key in a Python set: 49 bytes of the object and 32 of its slot."""


def costs(results: dict[str, Any]) -> list[dict[str, str]]:
    """One row per size."""
    milliseconds = results["speed"]["drivers"]["pool"]["processor_ms_per_input"]
    manifest = results.get("memory", {}).get("manifest_bytes_per_input", 200)
    rows = results.get("memory", {}).get("jsonl_bytes_per_input", 700)
    return [_row(size, milliseconds, manifest, rows) for size in SIZES]


def _row(size: int, milliseconds: float, manifest: float, rows: float) -> dict[str, str]:
    core_hours = size * milliseconds / 3.6e6
    parts = -(-size // PART_INPUTS)
    shards = -(-size // SHARD_INPUTS)
    # Per part: the Parquet file, its commit record, and the owner's token that is read before it.
    requests = size * GET_DOLLARS + parts * (2 * PUT_DOLLARS + GET_DOLLARS)
    machine = core_hours * CORE_HOUR_DOLLARS
    return {
        "inputs": f"{size:,}",
        "core hours": _short(core_hours),
        "on 2 cores": _duration(core_hours / 2),
        "on 1,000 cores": _duration(core_hours / 1000),
        "shards": f"{shards:,}",
        "parts": f"{parts:,}",
        "manifest": _bytes(size * manifest),
        "rows, JSON Lines": _bytes(size * rows),
        "keys in a driver": _bytes(min(size, SHARD_INPUTS) * _KEY_BYTES * 2),
        "machines": f"${machine:,.2f}",
        "requests": f"${requests:,.2f}",
        "per million": f"${(machine + requests) * 10**6 / size:.2f}",
    }


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def _duration(hours: float) -> str:
    for unit, size in (("d", 24.0), ("h", 1.0), ("min", 1 / 60)):
        if hours >= size:
            return f"{hours / size:,.1f} {unit}"
    return f"{hours * 3600:.0f} s"


def _bytes(count: float) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:,.1f} {unit}"
    return f"{count / 1e3:,.0f} kB"


def table(results: dict[str, Any]) -> str:
    """The costs as a Markdown table, sizes as columns."""
    rows = costs(results)
    lines = ["| | " + " | ".join(row["inputs"] for row in rows) + " |", "|---|" + "--:|" * len(rows)]
    lines += [f"| {name} | " + " | ".join(row[name] for row in rows) + " |" for name in list(rows[0])[1:]]
    return "\n".join(lines)


def measured(results: dict[str, Any]) -> str:
    """The measurements themselves, as Markdown."""
    speed, kills, memory = results["speed"], results["kills"], results.get("memory")
    rows = [
        f"| {name} | {one['inputs_per_s']:.1f} | {one['wall_ratio']:.2f} | {one['processor_ms_per_input']:.1f} "
        f"| {one['driver_peak_mb']:.0f} |"
        for name, one in speed["drivers"].items()
    ]
    load = (
        f"`{speed['command']}`: {speed['inputs']} drawn crops, {speed['repeats']} run(s), two shared cores with a load "
        f"average of {speed['load_average']:.0f}. On a machine that busy, wall times say little and processor time "
        "includes what background processes, such as Ray's, use while they wait."
    )
    header = "| driver | crops/s | of one process | processor ms per crop | driver's peak, MB |\n|---|--:|--:|--:|--:|"
    counted = ", ".join(f"{target}: {count}" for target, count in kills["kills"].items())
    killed = (
        f"`{kills['command']}`: {sum(kills['kills'].values())} kills -9 at random moments ({counted}) in "
        f"{kills['batches']} batches of {kills['inputs']} crops: {kills['rows_lost']} rows lost, "
        f"{kills['rows_doubled']} doubled, {kills['rows_changed']} changed."
    )
    parts = [load, "\n".join([header, *rows]), killed]
    if memory:
        peaks = ", ".join(f"{peak:.0f} MB for {int(count):,}" for count, peak in memory["driver_peak_mb"].items())
        parts.append(
            f"`{memory['command']}`: the driver's peak memory is {peaks} crops. Per crop the manifest takes "
            f"{memory['manifest_bytes_per_input']} bytes and a JSON line {memory['jsonl_bytes_per_input']}."
        )
    return "\n\n".join(parts)


def fill(text: str, name: str, content: str) -> str:
    """The text with new content between the markers of that name."""
    start, end = f"<!-- {name}: start -->", f"<!-- {name}: end -->"
    return f"{text.partition(start)[0]}{start}\n\n{content}\n\n{end}{text.partition(end)[2]}"


def page_with_figures(text: str) -> str:
    """The page with both tables from the results."""
    results = load_results(RESULTS / "batch.json")
    return fill(fill(text, "costs", table(results)), "measured", measured(results))


if __name__ == "__main__":
    PAGE.write_text(page_with_figures(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE}")
