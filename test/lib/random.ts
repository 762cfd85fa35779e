/** From 0 up to but without 1; the same numbers for the same seed. */
export type Random = () => number;

/** As a test is told, or of the moment. */
export function seedOf(text: string | undefined): number {
  return text === undefined ? Date.now() % 2 ** 31 : Number(text);
}

/** mulberry32. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
