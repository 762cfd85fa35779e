/** The values that tell one time series of a metric from another. Never an id of a connection: there is no bound to how many there are. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

/** What a metric says when it is asked: a value for each set of labels. */
export type Look<L extends string> = () => Iterable<Sample<L>> | Promise<Iterable<Sample<L>>>;
export type Sample<L extends string> = readonly [Labels<L>, number];

/** What is counted and timed. Names and units are Prometheus's: seconds, bytes, `_total`. Asking for the same name again gives the same metric. */
export interface Meter {
  /** Hears how long things took, in seconds. */
  timer<L extends string>(name: string, help: string, labels: readonly L[]): (seconds: number, labels: Labels<L>) => void;
  /** Counts one. */
  counter<L extends string>(name: string, help: string, labels: readonly L[]): (labels: Labels<L>) => void;
  /** What goes up and down. It costs nothing until somebody asks; several looks of one name are put together. */
  gauge<L extends string>(name: string, help: string, labels: readonly L[], look: Look<L>): void;
  /** The same for what only goes up, and is counted elsewhere. */
  total<L extends string>(name: string, help: string, labels: readonly L[], look: Look<L>): void;
}

/** A meter that counts nothing. */
export const noMeter: Meter = { timer: () => () => {}, counter: () => () => {}, gauge() {}, total() {} };
