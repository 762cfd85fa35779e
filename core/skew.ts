/** Clocks are seldom off by more: beyond it, it is what it looks like. */
const likelyMs = 10 * 60_000;

/** For sentences: how far a moment is away by this machine's clock, and whether clocks may be why. */
export function offBy(ms: number): string {
  const away = `${Math.ceil(ms / 1000)} s off by this machine's clock`;
  return ms <= likelyMs ? `${away}: do the clocks of both machines agree?` : away;
}
