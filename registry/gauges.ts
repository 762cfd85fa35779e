import type { Meter } from "../core/meter.js";

/** Of one kind of things in a registry. */
interface Shown {
  readonly word: string;
  readonly size: number;
  readonly watched: number;
}

/** What a registry has, and how many watch it, as of the moment somebody asks. */
export function registryGauges(meter: Meter, views: readonly Shown[]): void {
  const labels = ["kind"] as const;
  meter.gauge("isthmus_registry_entries", "What the registry knows", labels, () => views.map(({ word, size }) => [{ kind: word }, size]));
  meter.gauge("isthmus_registry_watchers", "Streams that watch the registry", labels, () =>
    views.map(({ word, watched }) => [{ kind: word }, watched]),
  );
}
