/**
 * Looks again until `look` gives something other than undefined or false, and returns that.
 * For what has no event that a test could wait for; fails after `withinMs` with the last error or `what`.
 */
export async function until<T>(
  what: string,
  withinMs: number,
  look: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const started = performance.now();
  let last: unknown;
  do {
    try {
      const found = await look();
      if (found !== undefined && found !== false) return found;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  } while (performance.now() - started < withinMs);
  throw new Error(`not within ${withinMs} ms: ${what}`, { cause: last });
}
