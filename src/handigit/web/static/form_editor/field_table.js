// A table of fields over a rectangle: rows and columns of equal size, named like those of a template.

const rounded = (value) => Math.round(value * 100) / 100;

/** The edges of `count` equal parts from `low` to `high`. */
const edges = (low, high, count) => Array.from({ length: count + 1 }, (_, index) => rounded(low + ((high - low) * index) / count));

/** The column names in a text such as "q1, q2, sum". */
export const columnNames = (text) => text.split(/[\s,;]+/).filter(Boolean);

/** A table { name, box, rows, names, kind } as the template has it. */
export function asTemplate({ name, box: [left, top, right, bottom], rows, names, kind }) {
  return { name, rows: edges(top, bottom, rows), columns: edges(left, right, names.length), names, kinds: names.map(() => kind) };
}

/** Its fields { name, kind, box }, row by row. */
export function cellsOf(table) {
  const { rows, columns, names } = asTemplate(table);
  return rows.slice(1).flatMap((bottom, row) =>
    names.map((name, column) => ({ name: `${table.name}.${row + 1}.${name}`, kind: table.kind, box: [columns[column], rows[row], columns[column + 1], bottom] })));
}
