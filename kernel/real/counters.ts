import { RecentMap } from "../../core/recentMap.js";
import type { Counters } from "../model.js";
import { getLinks } from "../netlink/link.js";
import type { NetlinkSocket } from "../netlink/socket.js";
import { linkStats } from "../netlink/stats.js";

/** More than a node has devices; those that are gone are forgotten when they are asked for, or in time. */
const mostRemembered = 16_384;

/** Counters of devices by name. The kernel gives them by index, so names are looked up once: some are asked for several times a second. */
export class CounterReader {
  readonly #socket: NetlinkSocket;
  readonly #indexes = new RecentMap<string, number>(mostRemembered);

  constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Of those that are there. */
  read(names: readonly string[]): Map<string, Counters> {
    const found = new Map<string, Counters>();
    this.#lookUp(names.filter((name) => this.#indexes.get(name) === undefined));
    // A device that was made anew has another index.
    const gone = this.#count(names, found);
    this.#lookUp(gone);
    this.#count(gone, found);
    return found;
  }

  #lookUp(names: readonly string[]): void {
    for (const { name, index } of getLinks(this.#socket, names)) this.#indexes.set(name, index);
  }

  /** Answers the names that were known and are not there any more. */
  #count(names: readonly string[], found: Map<string, Counters>): string[] {
    const known: string[] = [];
    const indexes: number[] = [];
    for (const name of names) {
      const index = this.#indexes.get(name);
      if (index === undefined) continue;
      known.push(name);
      indexes.push(index);
    }
    linkStats(this.#socket, indexes, (at, count) => found.set(known[at] ?? "", countersOf(count)));
    const gone = known.filter((name) => !found.has(name));
    for (const name of gone) this.#indexes.delete(name);
    return gone;
  }
}

function countersOf(count: (n: number) => number): Counters {
  return { rxPackets: count(0), txPackets: count(1), rxBytes: count(2), txBytes: count(3), drops: count(6) + count(7) };
}
