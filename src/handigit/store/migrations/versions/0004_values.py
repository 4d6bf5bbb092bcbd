"""Values of readings and corrections, the place of a number on its page, and failed sign-ins.

The rule that decides a value is copied here as it was at this revision. A correction could hold digits alone before;
where they are those of the reading, the reviewer confirmed it, and the correction takes over its text as written.
"""

import re
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_BATCH = 1000
_ONE_SEPARATOR = re.compile(r"(-?[0-9]*)[.,]([0-9]+)")
_MAYBE_GROUPED = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}")
_GROUPED = re.compile(r"(-?[0-9]{1,3}(?:,[0-9]{3})+)\.([0-9]+)|(-?[0-9]{1,3}(?:\.[0-9]{3})+),([0-9]+)")


def upgrade() -> None:
    """Add the columns and fill them from `raw` and `text`."""
    for table in ("readings", "corrections"):
        op.add_column(table, sa.Column("value", sa.Text))
        op.add_column(table, sa.Column("canonical", sa.Text, nullable=False, server_default=""))
    op.add_column("readings", sa.Column("place", sa.Integer, nullable=False, server_default="1"))
    op.create_table(
        "failed_sign_ins",
        sa.Column("name_digest", sa.Text, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name_digest", name="pk_failed_sign_ins"),
    )
    op.execute(
        "UPDATE readings SET place = 1 + (SELECT count(*) FROM readings AS earlier WHERE earlier.at = readings.at "
        "AND earlier.source = readings.source AND earlier.request_id = readings.request_id "
        "AND earlier.page = readings.page AND earlier.id < readings.id)"
    )
    op.execute(
        "UPDATE corrections SET text = (SELECT raw FROM readings WHERE readings.id = corrections.reading) "
        "WHERE outcome = 'read' AND EXISTS (SELECT 1 FROM readings WHERE readings.id = corrections.reading "
        "AND readings.text = corrections.text AND readings.raw <> '' AND length(readings.raw) <= 64 "
        "AND readings.raw NOT LIKE '%?%' AND readings.raw NOT LIKE '=%')"
    )
    _fill("readings", "CASE WHEN outcome IN ('read', 'doubt') THEN raw ELSE '' END")
    _fill("corrections", "text")


def _fill(table: str, written: str) -> None:
    """Set value and canonical form of every row from the SQL expression `written`."""
    change = sa.text(f"UPDATE {table} SET value = :value, canonical = :canonical WHERE id = :id")  # noqa: S608 - ours
    for batch in _batches(table, written):
        op.get_bind().execute(change, [{"id": id_} | _columns(text) for id_, text in batch])


def _batches(table: str, written: str) -> Iterator[list[tuple[int, str]]]:
    query = sa.text(f"SELECT id, {written} FROM {table} WHERE id > :after ORDER BY id LIMIT {_BATCH}")  # noqa: S608
    after = 0
    while batch := [(row[0], row[1]) for row in op.get_bind().execute(query, {"after": after})]:
        yield batch
        after = batch[-1][0]


def _columns(written: str) -> dict[str, str | None]:
    if written.isascii() and written.isdigit():
        return {"value": written.lstrip("0") or "0", "canonical": written}
    value = _value(re.sub("[$€£ ]", "", written))
    return {"value": value, "canonical": written.replace(" ", "") if value is None else _shortest(value)}


def _value(text: str) -> str | None:
    if re.fullmatch("-?[0-9]+", text):
        return text
    if (match := _ONE_SEPARATOR.fullmatch(text)) and not _MAYBE_GROUPED.fullmatch(text):
        return f"{match[1]}.{match[2]}"
    if match := _GROUPED.fullmatch(text):
        whole, fraction = (match[1], match[2]) if match[1] else (match[3], match[4])
        return f"{re.sub('[.,]', '', whole)}.{fraction}"
    return None


def _shortest(value: str) -> str:
    """The value without zeros that do not count: 12.50 becomes 12.5, -0 becomes 0."""
    sign, digits = ("-", value[1:]) if value.startswith("-") else ("", value)
    whole, _, fraction = digits.partition(".")
    fraction = fraction.rstrip("0")
    short = (whole.lstrip("0") or "0") + (f".{fraction}" if fraction else "")
    return short if short == "0" else sign + short
