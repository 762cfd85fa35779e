import type { Meter } from "../core/meter.js";

/** Of one kind of things in a registry. */
interface Shown {
  readonly word: string;
  readonly size: number;
  readonly watched: number;
}

/** Of other sites' segments, by those sites' names: how many this one takes part in, and how many it does not though they name it. */
export interface CopyCounts {
  readonly counts: ReadonlyMap<string, { readonly copied: number; readonly leftOut: number }>;
}

export function copyGauges(meter: Meter, { counts }: CopyCounts): void {
  const labels = ["home"] as const;
  const told = (of: "copied" | "leftOut") => () => [...counts].map(([home, count]) => [{ home }, count[of]] as const);
  meter.gauge("isthmus_segment_copies", "Segments of another site that this one takes part in", labels, told("copied"));
  meter.gauge(
    "isthmus_segments_left_out",
    "Segments of another site that name this one, which takes no part in them",
    labels,
    told("leftOut"),
  );
}

/** What a registry has, and how many watch it, as of the moment somebody asks. */
export function registryGauges(meter: Meter, views: readonly Shown[]): void {
  const labels = ["kind"] as const;
  meter.gauge("isthmus_registry_entries", "What the registry knows", labels, () => views.map(({ word, size }) => [{ kind: word }, size]));
  meter.gauge("isthmus_registry_watchers", "Streams that watch the registry", labels, () =>
    views.map(({ word, watched }) => [{ kind: word }, watched]),
  );
}
