import { background } from "../../core/background.js";
import type { Log } from "../../core/log.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { Serial } from "../../core/serial.js";
import type { Netns } from "../../kernel/model.js";
import { Zone } from "../dns/zone.js";
import type { Part } from "./part.js";

/** Answers questions for names in a network namespace, at these addresses of it, until disposed. */
export type OpenNames = (place: {
  readonly netns: Netns;
  readonly addresses: readonly string[];
  readonly zone: () => Zone;
}) => Promise<AsyncDisposable>;

export interface NamesParts {
  readonly netns: Netns;
  readonly openNames: OpenNames;
  readonly log: Log;
}

/** The names of a segment as its members on this node can ask for them; none where the segment has no domain. */
export class Names implements AsyncDisposable {
  readonly #parts: NamesParts;
  #zone: Zone | undefined;
  /** Only one answers at a time at the same addresses. */
  readonly #serial = new Serial();
  #closed = false;
  #open: { readonly where: string; readonly resolver: AsyncDisposable } | undefined;

  constructor(parts: NamesParts) {
    this.#parts = parts;
  }

  /** From now on these are the members, of all nodes. */
  tell({ segment }: Part, members: readonly SegmentMember[]): void {
    const { name, dnsDomain: domain, prefixes } = segment;
    this.#zone = domain === "" ? undefined : new Zone({ domain, segment: name, members, prefixes });
  }

  /** Answers at the node's own addresses in the segment, which are there by now. A segment without names is no reason not to join it. */
  begin({ segment }: Part, addresses: readonly string[]): Promise<void> {
    return this.#serial.run("", () => this.#begin(segment, addresses));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true;
    await this.#serial.run("", () => this.#end());
  }

  async #begin({ dnsDomain: domain, name }: Part["segment"], addresses: readonly string[]): Promise<void> {
    const where = [domain, ...addresses].join(" ");
    if (this.#closed || this.#open?.where === where || addresses.length === 0) return;
    await this.#end();
    if (domain === "") return;
    const { netns, openNames, log } = this.#parts;
    const opening = openNames({ netns, addresses, zone: () => this.#zone ?? new Zone({ domain, segment: name, members: [] }) });
    background(log, "answering for a segment's names", opening, { segment: name, domain });
    const resolver = await opening.catch(() => undefined);
    if (resolver !== undefined) this.#open = { where, resolver };
  }

  async #end(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.resolver[Symbol.asyncDispose]();
  }
}

/** Of members with one name those of the first group that has it: nobody elsewhere can take a name that somebody has here. */
export function nearest(groups: readonly (readonly SegmentMember[])[]): SegmentMember[] {
  const names = new Set<string>();
  return groups.flatMap((group) => {
    const fresh = group.filter(({ name }) => !names.has(name));
    for (const { name } of fresh) names.add(name);
    return fresh;
  });
}
