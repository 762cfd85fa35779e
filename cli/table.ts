import { plain } from "./plain.js";

/** One line of a table: column name to cell. Columns keep the order of the first row. */
export type Row = Readonly<Record<string, string | number | boolean | undefined>>;

/** Columns two spaces apart, headings in capitals, no spaces at line ends. Empty cells become `-`. */
export function table(columns: readonly string[], rows: readonly Row[]): string {
  const lines = [columns.map(heading), ...rows.map((row) => columns.map((column) => cell(row[column])))];
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => (line[at] ?? "").length)));
  return lines.map((line) => `${line.map((text, at) => text.padEnd(widths[at] ?? 0)).join("  ")}`.trimEnd()).join("\n");
}

/** `establishedMs` is headed ESTABLISHED MS. */
function heading(column: string): string {
  return column.replace(/([a-z])([A-Z])/g, "$1 $2").toUpperCase();
}

function cell(value: Row[string]): string {
  return value === undefined || value === "" ? "-" : plain(String(value));
}
