import { siteName } from "./siteNames.js";

/**
 * The names that look most like `wanted`, best first: for "did you mean". Those that have nothing in common are left out. Where the site
 * is not asked for, it makes no difference.
 */
export function nearest(wanted: string, names: readonly string[], count = 3): string[] {
  const furthest = Math.max(1, Math.floor(wanted.length / 2));
  const asked = (name: string) => (siteName(wanted).site === undefined ? siteName(name).local : name);
  return names
    .map((name) => ({ name, distance: holds(wanted, name) ? 0 : distance(wanted.toLowerCase(), asked(name).toLowerCase()) }))
    .filter((each) => each.distance <= furthest)
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, count)
    .map(({ name }) => name);
}

function holds(wanted: string, name: string): boolean {
  return wanted !== "" && name.toLowerCase().includes(wanted.toLowerCase());
}

/** Levenshtein's: how many letters have to be put in, left out or changed. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (const [i, x] of [...a].entries()) {
    const above = row;
    row = [i + 1];
    for (const [j, y] of [...b].entries()) {
      const changed = (above[j] ?? 0) + (x === y ? 0 : 1);
      row.push(Math.min(changed, (above[j + 1] ?? 0) + 1, (row[j] ?? 0) + 1));
    }
  }
  return row.at(-1) ?? 0;
}
