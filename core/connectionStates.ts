import type { Meter } from "./meter.js";
import type { Monitor } from "./monitor.js";
import { DOWN } from "./states.js";

/** How many connections a hop has, by whether they work. */
export function connectionStates(meter: Meter, hop: string, monitor: Monitor): void {
  meter.gauge("isthmus_connections", "Connections that go through a hop", ["hop", "state"], () => {
    const all = monitor.list();
    const down = all.filter(({ state }) => state === DOWN).length;
    return [
      [{ hop, state: "up" }, all.length - down],
      [{ hop, state: "down" }, down],
    ];
  });
}
