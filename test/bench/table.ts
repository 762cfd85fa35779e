import type { Result } from "./result.js";

/** The results as a Markdown table, for the README. */
export function table(results: readonly Result[]): string {
  const rows = results.map((one) => {
    const spread = one.spread ? ` (${one.spread[0]} to ${one.spread[1]})` : "";
    return `| ${one.name} | ${one.value} ${one.unit}${spread} | ${one.bar || "told"} | ${one.ok ? "yes" : "**no**"} | ${one.note ?? ""} |`;
  });
  return ["| what | value | bar | holds | note |", "|---|---|---|---|---|", ...rows].join("\n");
}
