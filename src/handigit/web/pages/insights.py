"""The page at /insights: how well reading goes, and what to do about it.

It asks the store and puts plots and words together; how the numbers come about is the store's and `trends`' work.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from handigit.card import Card
from handigit.errors import ModelError
from handigit.evaluate.intervals import clopper_pearson
from handigit.read import Reader
from handigit.records import Outcome
from handigit.store import ErrorCount, Filter, Statistics, Store
from handigit.web.pages import trends
from handigit.web.pages.charts import Axis, Plot, Table, curve, dot, share
from handigit.web.pages.ink_stats import LARGEST_PX, PER_DAY, InkMeter
from handigit.web.pages.layout import AsReader, render
from handigit.web.pages.trends import Point, Risk, risks

router = APIRouter()
Period = Literal["7", "30", "90", "all"]
PERIODS: Final[dict[Period, str]] = {"7": "7 days", "30": "30 days", "90": "90 days", "all": "all"}
_MOST_ROWS: Final = 40
_MOST_PAIRS: Final = 5


@dataclass(frozen=True, slots=True)
class Stat:
    """One figure, large; what it is, and what it means."""

    figure: str
    name: str
    help: str


@dataclass(frozen=True, slots=True)
class Confusions:
    """A table of what was read (columns) where which digit stood (rows), and the commonest pairs as sentences."""

    counts: tuple[tuple[int, ...], ...]
    ranked: tuple[tuple[str, str, int], ...]
    wrong_length: int


@router.get("/insights")
def show(request: Request, user: AsReader, days: Annotated[Period, Query()] = "30") -> Response:
    """The page, for the last so many days."""
    shown: dict[str, Any] = {"periods": PERIODS, "days": days, "stats": (), "plots": (), "confusions": None, "total": 0}
    store: Store | None = request.app.state.service.store
    if store is not None:
        shown |= _report(store, _since(days), request.app.state.service.models.active.reader)
    return render(request, "insights.html", user, **shown)


def _since(days: Period) -> Filter:
    return Filter() if days == "all" else Filter(since=datetime.now(UTC) - timedelta(days=int(days)))


def _report(store: Store, wanted: Filter, reader: Reader) -> dict[str, Any]:
    figures, insights = store.statistics(wanted), store.insights
    meter = _meter(store)
    crops = insights.crops(wanted, per_day=PER_DAY, largest_px=LARGEST_PX)
    inked = [(day, ink) for day, crop in crops if (ink := meter.of(crop))]
    plots = (
        trends.outcomes_by_day(figures.days),
        trends.confidence_by_day(figures.days),
        *(_risk_plot(risk, reader) for risk in risks(insights.strata(wanted))),
        trends.digits_by_day(insights.digits(wanted)),
        trends.ink_by_day(inked),
    )
    total = sum(figures.outcomes.values())
    return {"stats": _stats(figures), "plots": plots, "confusions": _confusions(figures), "total": total}


@lru_cache(maxsize=1)
def _meter(store: Store) -> InkMeter:
    """The one meter of this server's store, so that it remembers what it has measured."""
    return InkMeter(store.picture)


def _stats(figures: Statistics) -> tuple[Stat, ...]:
    total = sum(figures.outcomes.values())
    return (
        Stat(
            _of(figures.outcomes[Outcome.READ], total),
            "read without help",
            f"{figures.outcomes[Outcome.READ]:,} of {total:,} readings. The rest waits for a person, or has no number.",
        ),
        Stat(
            _of(figures.outcomes[Outcome.DOUBT], total),
            "not sure",
            "These go to the review. Many of them? Look at the pictures first: light, focus, cut-off edges.",
        ),
        _measured(figures.control),
        Stat(f"{figures.decided:,}", "checked by people", "Every one of them can teach the next model."),
    )


def _of(count: int, total: int) -> str:
    return share(count / total) if total else "-"


def _measured(control: ErrorCount) -> Stat:
    """The error among what was read, with the range in which it lies."""
    name = "wrong of what was read"
    if not control.checked:
        return Stat("-", name, "Not measured yet: check some of the control sample, which the review hands out.")
    bound = clopper_pearson(control.wrong, control.checked)
    told = (
        f"{control.wrong} of {control.checked:,} in the random control sample; the true share lies between "
        f"{share(bound.low)} and {share(bound.high)} (95 % sure). Check four times as many to halve that range."
    )
    return Stat(share(control.wrong / control.checked), name, told)


def _confusions(figures: Statistics) -> Confusions:
    counts = [[0] * 10 for _ in range(10)]
    for one in figures.confusions:
        counts[int(one.truth)][int(one.read)] += one.count
    ranked = tuple((one.read, one.truth, one.count) for one in figures.confusions[:_MOST_PAIRS])
    return Confusions(tuple(map(tuple, counts)), ranked, figures.wrong_length)


def _risk_plot(risk: Risk, reader: Reader) -> Plot:
    """What each threshold buys, with the chosen one marked."""
    title = f"Risk against coverage: {risk.kind}s"
    if not risk.points or risk.missing:
        more = f"{risk.missing} more" if risk.missing else "some of the control sample"
        return Plot(title, says=f"Shown once {more} of these readings are checked, in the review.")
    card = _card(reader, risk.kind)
    threshold = card.threshold(reader.target_error) if card else None
    chosen = risk.at(threshold) if threshold is not None else None
    highest = max(0.01, *(point.risk for point in risk.points))
    return Plot(
        title,
        says=_bought(threshold, chosen, risk),
        help="Going right, more is read without help and more of it is wrong. Where the line is flat, a lower "
        "threshold costs nothing; where it climbs, people earn their time.",
        axis=Axis((f"{share(highest)} wrong", "0 %"), ("0 %", "100 % accepted")),
        table=_risk_table(risk),
        curves=(curve([(point.coverage, point.risk / highest) for point in risk.points], look="mark"),),
        dots=(dot(chosen.coverage, chosen.risk / highest, look="doubt"),) if chosen else (),
        legend=(("dot", "each threshold"), *((("doubt", "the chosen threshold"),) if chosen else ())),
    )


def _bought(threshold: float | None, chosen: Point | None, risk: Risk) -> str:
    checked = f"From {risk.checked:,} checked readings"
    if threshold is None or chosen is None:
        return f"{checked}: nothing is as sure as the threshold asks."
    return (
        f"{checked}: the threshold in use, {threshold:.3f}, accepts {share(chosen.coverage)}, "
        f"of which {share(chosen.risk)} are wrong."
    )


def _risk_table(risk: Risk) -> Table:
    step = -(-len(risk.points) // _MOST_ROWS)
    rows = [(f"{one.threshold:.4f}", share(one.coverage), share(one.risk)) for one in risk.points[::-step][::-1]]
    return Table(("confidence at least", "accepted", "wrong among them"), tuple(rows))


def _card(reader: Reader, kind: str) -> Card | None:
    """The card of what reads this kind; None where the model in use has nothing for it."""
    try:
        return reader.engine.card if kind == "digit" else reader.line_engine.card
    except ModelError:
        return None
