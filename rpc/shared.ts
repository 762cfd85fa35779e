/** As many as the hops around a program have tokens at a time. */
const mostKept = 512;
const kept = new Map<string, string>();

/** The same text, once in memory: a hop's token comes again with each of its connections, and every message brings a copy of 1.2 KB. */
export function shared(text: string): string {
  const known = kept.get(text);
  if (known !== undefined || text === "") return known ?? text;
  const [oldest] = kept.keys();
  if (kept.size >= mostKept && oldest !== undefined) kept.delete(oldest);
  kept.set(text, text);
  return text;
}
