import type { Clock } from "../../core/clock.js";
import type { KernelEvent } from "../model.js";
import { dumpLinks, type Link } from "../netlink/link.js";
import { within } from "../netns.js";
import { EventQueue } from "../queue.js";
import type { Home } from "./home.js";
import { loopback } from "./loopback.js";
import { isOurs } from "./owner.js";

import { type Notice, watchNamespaces } from "./watch.js";

/** Turns notices of the kernel into events of our devices. It remembers which index, and which pod's end, belongs to which device. */
export class Events implements Disposable {
  readonly #home: Home;
  readonly #names = new Map<number, string>();
  readonly #ends = new Map<string, number>();
  /** The numbers of namespaces that have, or had, ends of ports. */
  readonly #pods = new Set<number>();
  readonly #listeners = new Set<EventQueue>();
  readonly #watch: Disposable;

  constructor(home: Home, clock: Clock) {
    this.#home = home;
    this.#watch = within(home.mesh, () =>
      watchNamespaces(clock, { concerns: (netnsId) => this.#pods.has(netnsId), hear: (notice) => this.#hear(notice) }),
    );
    this.#learn();
  }

  async *listen(signal: AbortSignal): AsyncGenerator<KernelEvent> {
    const queue = new EventQueue();
    this.#listeners.add(queue);
    try {
      yield* queue.take(signal);
    } finally {
      this.#listeners.delete(queue);
    }
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }

  #hear(notice: Notice): void {
    if (notice.kind === "lost") {
      this.#learn();
      this.#tell({ kind: "resync" });
    } else if (notice.kind === "on-device") {
      this.#tellOf(notice.netnsId, notice.index);
    } else if (notice.kind === "learned") {
      const device = this.#names.get(notice.index);
      if (device !== undefined) this.#tell({ kind: "learned", device });
    } else if (notice.kind === "rules") {
      this.#tellOfPod(notice.netnsId);
    } else if (notice.netnsId !== undefined) {
      this.#tellOf(notice.netnsId, notice.link.index);
    } else {
      this.#hearLink(notice.link, notice.gone);
    }
  }

  #hearLink(link: Link, gone: boolean): void {
    const known = this.#names.get(link.index);
    if (known === undefined && !isOurs(link)) return;
    if (gone) this.#names.delete(link.index);
    else this.#remember(link);
    if (known !== undefined && known !== link.name) this.#tell({ kind: "gone", device: known });
    this.#tell({ kind: gone ? "gone" : "changed", device: link.name });
  }

  #tellOf(netnsId: number | undefined, index: number): void {
    const own = netnsId === undefined ? index : this.#ends.get(`${netnsId}/${index}`);
    const device = own === undefined ? undefined : this.#names.get(own);
    if (device !== undefined) this.#tell({ kind: "changed", device });
  }

  /** Whoever has an end in that namespace may be meant. */
  #tellOfPod(netnsId: number | undefined): void {
    for (const [end, own] of this.#ends) {
      const device = end.startsWith(`${netnsId}/`) ? this.#names.get(own) : undefined;
      if (device !== undefined) this.#tell({ kind: "changed", device });
    }
  }

  #tell(event: KernelEvent): void {
    for (const queue of this.#listeners) queue.push(event);
  }

  #learn(): void {
    this.#names.clear();
    this.#ends.clear();
    this.#pods.clear();
    for (const link of dumpLinks(this.#home.meshSocket)) if (isOurs(link) || link.name === loopback.name) this.#remember(link);
  }

  #remember(link: Link): void {
    this.#names.set(link.index, link.name);
    if (link.kind !== "veth" || link.peerNetnsId === undefined || link.peer === undefined) return;
    this.#ends.set(`${link.peerNetnsId}/${link.peer}`, link.index);
    this.#pods.add(link.peerNetnsId);
  }
}
