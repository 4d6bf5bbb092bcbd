"""The results page's parts on the service, its store and its pages, from what their benches left."""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from results_models import Benches
from tables import NOTHING, commands, count, part, percent, prose, table

NAMES = {
    "handigit": "`handigit serve`, keeping nothing",
    "handigit, keeping": "the same, all kept in SQLite",
    "litserve": "LitServe",
    "flask": "Flask with threads",
}
SAME = """Digits a second and the time of an answer (median and 99th percentile, milliseconds) at 1, 8 and 64 clients,
each waiting for its answer before it asks again; server and clients share the two cores, and all servers run the same
ONNX file. The last column: processor time of the server for one answer at 64 clients, microseconds."""


def service_part(benches: Benches) -> str:
    """The service beside others, its end, its refusals, its memory."""
    found = benches.get("serve", {})
    if not found:
        return ""
    return part("The service", *_throughput(found.get("throughput")), *_said(found))


def _throughput(found: Mapping[str, Any] | None) -> list[str]:
    if not found:
        return []
    headings = ["server", *(f"{n}: a second" if i else f"{n}: ms" for n in (1, 8, 64) for i in (1, 0)), "µs"]
    rows = [_row(title, found["clients"][name]) for name, title in NAMES.items() if name in found["clients"]]
    return [
        commands("python bench/serve.py throughput"),
        prose(SAME),
        table(headings, rows),
        prose(_flood(found["overload"])),
    ]


def _row(title: str, by_clients: Mapping[str, Any]) -> list[str]:
    cells = [title]
    for clients in ("1", "8", "64"):
        one = by_clients[clients]
        cells += [count(one["per_second"]), f"{one['p50_ms']:.1f}, {one['p99_ms']:.0f}"]
    return [*cells, count(by_clients["64"].get("server_cpu_us"))]


def _flood(found: Mapping[str, Any]) -> str:
    sent = sum(found["statuses"].values())
    refused = found["statuses"].get("429", 0)
    return (
        f"A flood of five times the capacity ({found['capacity']:,.0f} a second) was wanted; the generator sent "
        f"{sent:,} requests, of which {refused:,} were refused, after {found.get('refused_p50_ms', NOTHING)} ms "
        f"(median; p99 {found.get('refused_p99_ms', NOTHING)}). Goodput: {found['goodput']:.2f} of the capacity."
        + _beside(found.get("beside"))
    )


def _beside(rounds: Sequence[float | None] | None) -> str:
    """What the flood takes by itself."""
    known = [share for share in rounds or () if share is not None]
    if not known:
        return ""
    return (
        " Where an nginx beside the server refuses four fifths of the same flood, so that they cost next to nothing: "
        f"{median(known):.2f} (median; {min(known):.2f} to {max(known):.2f} in {len(known)} rounds)."
    )


def _said(found: Mapping[str, Any]) -> list[str]:
    """What is one sentence each, with its command."""
    told = []
    if one := found.get("start"):
        seconds = ", ".join(f"{value} s ({kind})" for kind, value in one.items())
        told.append(("start", f"From the command to the first answer: {seconds}."))
    if one := found.get("sigterm"):
        lost = f"{one['lost']} lost, {one['orphans']} processes left behind"
        told.append(("sigterm", f"SIGTERM under load, {one['rounds']} times: of {one['accepted']:,} accepted, {lost}."))
    if one := found.get("refusals"):
        bombs = ", ".join(f"{kind.upper()} {ms} ms" for kind, ms in one.items())
        told.append(("refusals", f"A decompression bomb is refused after (median): {bombs}."))
    if one := found.get("memory"):
        told.append(("memory", f"Memory over {one['requests']:,} requests grew by {one['grown_mb']} MB."))
    return [text for name, words in told for text in (commands(f"python bench/serve.py {name}"), prose(words))]


def store_part(benches: Benches) -> str:
    """What the store withstands."""
    found = benches.get("store", {})
    said = [_store(kind, one) for kind, one in found.items()]
    return part("The store", commands("python bench/store.py"), *said) if said else ""


def _store(kind: str, found: Mapping[str, Any]) -> str:
    told = [f"{kind}:"]
    if one := found.get("kills"):
        told.append(
            f"{one['kills']} times kill -9 while four clients correct: of {one['acknowledged']:,} acknowledged "
            f"corrections {one['lost']} lost and {one['doubled']} doubled, {one['findings']} findings of the check."
        )
    if one := found.get("writers"):
        errors = sum(one["errors"].values())
        told.append(
            f"{one['writers']} writers: {one['per_second']:,.0f} writes a second, p50 {one['p50_ms']} ms, p99 "
            f"{one['p99_ms']} ms, {errors} errors in {one['writes']:,}."
        )
    if one := found.get("review"):
        told.append(
            f"With {one['queue']:,} readings that wait the next is leased in {one['lease_p50_ms']} ms (median), the "
            f"list takes {one['list_ms']} ms, the figures {one['figures_ms']} ms."
        )
    if one := found.get("adding"):
        each = ", ".join(f"{size} together {row['cpu_us']:,}" for size, row in one["together"].items())
        told.append(f"Microseconds of processor time to keep one reading: {each}.")
    return prose(" ".join(told))


def pages_part(benches: Benches) -> str:
    """How the pages feel, in figures."""
    found, review = benches.get("pages", {}), benches.get("pages_review", {})
    said = []
    if one := found.get("pad"):
        told = f"The pad answers {one['median_ms']} ms after the pen's lift (median of {one['lifts']} in Chromium)."
        said += [commands("python bench/pages.py"), prose(told)]
    if one := found.get("page100"):
        share = percent(one["found"] / one["written"], digits=0)
        told = f"A page of {one['written']} numbers stands there after {one['median_ms'] / 1e3:.1f} s"
        said.append(prose(f"{told}; {share} % were found."))
    if review:
        told = (
            f"Review by keyboard, scripted: {review['items_a_minute']:.0f} items a minute, "
            f"{review['median_ms']:.0f} ms from one key to the next item (median)."
        )
        said += [commands("python bench/pages_review.py"), prose(told)]
    return part("The pages", *said) if said else ""
