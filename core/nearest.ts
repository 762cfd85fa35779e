/** The names that look most like `wanted`, best first: for "did you mean". Those that have nothing in common are left out. */
export function nearest(wanted: string, names: readonly string[], count = 3): string[] {
  const furthest = Math.max(2, Math.ceil(wanted.length / 2));
  return names
    .map((name) => ({ name, distance: distance(wanted.toLowerCase(), name.toLowerCase()) }))
    .filter(({ name, distance: d }) => d <= furthest || name.includes(wanted) || wanted.includes(name))
    .sort((a, b) => a.distance - b.distance || a.name.localeCompare(b.name))
    .slice(0, count)
    .map(({ name }) => name);
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
