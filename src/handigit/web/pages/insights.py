"""The page at /insights: automation rate, error rate, trends and confusions."""

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
from handigit.web.pages.charts import Axis, Plot, Table, curve, dot, rate
from handigit.web.pages.layout import AsReader, render
from handigit.web.pages.trends import CROPS_PER_DAY, MAX_PAGE_PX, InkMeter, Point, Risk, risks
from handigit.web.state import state_of

router = APIRouter()
Period = Literal["7", "30", "90", "all"]
PERIODS: Final[dict[Period, str]] = {"7": "7 days", "30": "30 days", "90": "90 days", "all": "all"}
_MAX_ROWS: Final = 40
_MAX_PAIRS: Final = 5


@dataclass(frozen=True, slots=True)
class Stat:
    """One headline figure with its name and meaning."""

    figure: str
    name: str
    help: str


@dataclass(frozen=True, slots=True)
class Confusions:
    """Counts by true digit (rows) and read digit (columns), and the most frequent pairs (read, truth, count)."""

    counts: tuple[tuple[int, ...], ...]
    ranked: tuple[tuple[str, str, int], ...]
    wrong_length: int


@router.get("/insights")
def show(request: Request, user: AsReader, days: Annotated[Period, Query()] = "30") -> Response:
    """The page for a period ending now."""
    context: dict[str, Any] = {
        "periods": PERIODS,
        "days": days,
        "stats": (),
        "plots": (),
        "confusions": None,
        "total": 0,
    }
    store: Store | None = state_of(request).service.store
    if store is not None:
        period = Filter() if days == "all" else Filter(since=datetime.now(UTC) - timedelta(days=int(days)))
        context |= _report(store, period, state_of(request).service.models.active.reader)
    return render(request, "insights.html", user, **context)


def _report(store: Store, period: Filter, reader: Reader) -> dict[str, Any]:
    statistics, insights = store.statistics(period), store.insights
    meter = _meter(store)
    crops = insights.crops(period, per_day=CROPS_PER_DAY, largest_px=MAX_PAGE_PX)
    measured = [(day, ink) for day, crop in crops if (ink := meter.measure(crop))]
    plots = (
        trends.outcomes_by_day(statistics.days),
        trends.confidence_by_day(statistics.days),
        *(_risk_plot(risk, reader) for risk in risks(insights.strata(period))),
        trends.digits_by_day(insights.digits(period)),
        trends.ink_by_day(measured),
    )
    total = sum(statistics.outcomes.values())
    return {"stats": _stats(statistics), "plots": plots, "confusions": _confusions(statistics), "total": total}


@lru_cache(maxsize=1)
def _meter(store: Store) -> InkMeter:
    """One meter per store, so that its cache outlives the request."""
    return InkMeter(store.picture)


def _stats(statistics: Statistics) -> tuple[Stat, ...]:
    total = sum(statistics.outcomes.values())
    read, unsure = statistics.outcomes[Outcome.READ], statistics.outcomes[Outcome.DOUBT]
    return (
        Stat(
            rate(read / total) if total else "no data",
            "read automatically",
            f"{read:,} of {total:,} readings. The others need review or contain no number.",
        ),
        Stat(
            rate(unsure / total) if total else "no data",
            "not sure",
            "These go to Review. If there are many, look at the pictures first: light, focus, cut-off edges.",
        ),
        _error_rate(statistics.control),
        Stat(f"{statistics.decided:,}", "checked by people", "Each of them can train the next model."),
    )


def _error_rate(control: ErrorCount) -> Stat:
    """The error rate of accepted readings, with its confidence interval."""
    name = "error rate"
    if not control.checked:
        return Stat("no data", name, "Not measured yet. Review some spot checks to measure it.")
    interval = clopper_pearson(control.wrong, control.checked)
    help_text = (
        f"{control.wrong} of {control.checked:,} random spot checks were wrong. The true rate is between "
        f"{rate(interval.low)} and {rate(interval.high)} (95% confidence). Four times as many checks halve that range."
    )
    return Stat(rate(control.wrong / control.checked), name, help_text)


def _confusions(statistics: Statistics) -> Confusions:
    counts = [[0] * 10 for _ in range(10)]
    for pair in statistics.confusions:
        counts[int(pair.truth)][int(pair.read)] += pair.count
    ranked = tuple((pair.read, pair.truth, pair.count) for pair in statistics.confusions[:_MAX_PAIRS])
    return Confusions(tuple(map(tuple, counts)), ranked, statistics.wrong_length)


def _risk_plot(risk: Risk, reader: Reader) -> Plot:
    """The risk-coverage curve with the threshold in use marked."""
    title = f"Errors vs. share read automatically: {risk.kind}s"
    if not risk.points or risk.missing:
        reviews = f"{risk.missing} more reviews" if risk.missing else "some spot checks"
        return Plot(title, summary=f"Available after {reviews}.")
    card = _card(reader, risk.kind)
    threshold = card.threshold(reader.target_error) if card else None
    selected = risk.at(threshold) if threshold is not None else None
    highest = max(0.01, *(point.risk for point in risk.points))
    return Plot(
        title,
        summary=_risk_summary(threshold, selected, risk),
        help="Towards the right, more is read automatically and more of it is wrong. Where the line is flat, a lower "
        "threshold costs nothing; where it climbs, human review pays off.",
        axis=Axis((f"{rate(highest)} wrong", "0%"), ("0%", "100% accepted")),
        table=_risk_table(risk),
        curves=(curve([(point.coverage, point.risk / highest) for point in risk.points], style="mark"),),
        dots=(dot(selected.coverage, selected.risk / highest, style="doubt"),) if selected else (),
        legend=(("dot", "each threshold"), *((("doubt", "threshold in use"),) if selected else ())),
    )


def _risk_summary(threshold: float | None, selected: Point | None, risk: Risk) -> str:
    checked = f"From {risk.checked:,} checked readings"
    if threshold is None or selected is None:
        return f"{checked}: no reading reaches the threshold in use."
    return (
        f"{checked}: the threshold in use ({threshold:.3f}) accepts {rate(selected.coverage)}, "
        f"of which {rate(selected.risk)} are wrong."
    )


def _risk_table(risk: Risk) -> Table:
    step = -(-len(risk.points) // _MAX_ROWS)
    rows = [(f"{point.threshold:.4f}", rate(point.coverage), rate(point.risk)) for point in risk.points[::-step][::-1]]
    return Table(("minimum confidence", "accepted", "error rate"), tuple(rows))


def _card(reader: Reader, kind: str) -> Card | None:
    """The card of the model for this kind; None where the active model has none."""
    try:
        return reader.engine.card if kind == "digit" else reader.number_engine.card
    except ModelError:
        return None
