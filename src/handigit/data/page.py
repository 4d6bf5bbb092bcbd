"""A set as one HTML page that needs no other file, light and dark by the reader's setting.

It knows how to write a page, not what to count: that is `summary.py`.
"""

from base64 import b64encode
from collections.abc import Sequence
from html import escape
from pathlib import Path
from string import Template

from handigit.data.atomic import replacing
from handigit.data.dataset import Dataset
from handigit.data.sheet import contact_sheet, encode_png
from handigit.data.summary import Bar, choose_samples, summarise

_PAGE = Template("""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>$title</title>
<style>
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif; }
body { max-width: 52rem; margin: 2rem auto; padding: 0 1rem; }
th { text-align: left; padding-right: 1.5rem; vertical-align: top; }
td { overflow-wrap: anywhere; }
td.value { text-align: right; padding: 0 .8rem; font-variant-numeric: tabular-nums; }
td.bar { width: 20rem; }
td.bar div { background: #2a7f9e; height: .8rem; }
img { max-width: 100%; }
@media (prefers-color-scheme: dark) { img { filter: invert(1); } }
</style>
<h1>$title</h1>
<table>
$facts
</table>
$balance
$intensity
$skipped
<h2>Samples, seed $seed</h2>
<img alt="Samples with their labels" src="data:image/png;base64,$samples">
</html>
""")


def write_html(dataset: Dataset, path: Path, *, samples: int, seed: int) -> None:
    """The set at a glance as a page.

    Raises:
        DataError: the file cannot be written.
    """
    summary = summarise(dataset)
    sheet = contact_sheet(dataset, choose_samples(dataset, count=samples, seed=seed))
    page = _PAGE.substitute(
        title=escape(f"Data set {dataset.name}"),
        facts="\n".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in summary.facts),
        balance=_chart("Class balance", summary.balance),
        intensity=_chart("Intensity of the pixels that are not 0", summary.intensity),
        skipped=_list("Skipped", summary.skipped),
        seed=seed,
        samples=b64encode(encode_png(sheet)).decode(),
    )
    with replacing(path) as stream:
        stream.write(page.encode())


def _chart(title: str, bars: Sequence[Bar]) -> str:
    rows = "".join(
        f'<tr><th>{escape(bar.label)}</th><td class="value">{bar.value:,}</td>'
        f'<td class="bar"><div style="width:{bar.share:.1%}"></div></td></tr>\n'
        for bar in bars
    )
    return f"<h2>{title}</h2>\n<table>\n{rows}</table>" if bars else ""


def _list(title: str, items: Sequence[str]) -> str:
    points = "".join(f"<li>{escape(item)}</li>\n" for item in items)
    return f"<h2>{title}</h2>\n<ul>\n{points}</ul>" if items else ""
