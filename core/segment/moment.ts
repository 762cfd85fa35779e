/** A moment in the life of a store that tells segments. */
export interface Moment {
  /** A store that was lost and made anew has another one. */
  readonly history: string;
  /** One that was restored from a copy goes back. */
  readonly revision: number;
}

/** What a follower keeps of what it heard last. JSON. */
export interface Heard extends Moment {
  /** The names of things that are not told any more, though nobody has ended them. */
  readonly held: readonly string[];
}

/** What becomes of what is known when something is told. */
export interface Retold {
  /** The names of those that somebody has ended. */
  readonly ended: readonly string[];
  readonly heard: Heard;
}

/**
 * Of what is known and not told any more, tells what was ended from what the teller has only forgotten: it ends where whoever told of it goes
 * on, and is held where that begins anew or goes back, until it is told again.
 */
export function retold(known: readonly string[], told: ReadonlySet<string>, moment: Moment, before: Heard | undefined): Retold {
  const missing = known.filter((name) => !told.has(name));
  const goesOn = before !== undefined && before.history === moment.history && before.revision <= moment.revision;
  const held = missing.filter((name) => !goesOn || before.held.includes(name));
  const { history, revision } = moment;
  return { ended: missing.filter((name) => !held.includes(name)), heard: { history, revision, held } };
}
