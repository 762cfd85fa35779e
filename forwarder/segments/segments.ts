import { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { background } from "../../core/background.js";
import { afresh } from "../../core/deadline.js";
import { asMeshError, MeshError } from "../../core/error.js";
import { sitesOf } from "../../core/segment/spec.js";
import { Serial } from "../../core/serial.js";
import { siteName } from "../../core/siteNames.js";
import type { Netns } from "../../kernel/model.js";
import { type Claims, claimVni, interfaceClaim, vniClaim } from "../claims.js";
import { countedBlocks } from "./countedBlocks.js";
import { type KeptMember, restoredMembers } from "./kept.js";
import type { KnownSegments } from "./known.js";
import type { LocalSegment, MemberCounters } from "./local.js";
import { Misdeeds } from "./misdeeds.js";
import { memberKey, type Part, partKey } from "./part.js";
import { Presence, type PresenceParts } from "./presence.js";
import { Publications } from "./publications.js";
import { Pulse } from "./pulse.js";
import { Remembered } from "./remembered.js";
import type { Spaces } from "./space.js";
import { Whereabouts } from "./whereabouts.js";

export interface SegmentsParts extends Omit<PresenceParts, "publications" | "pulse" | "misdeeds"> {
  readonly known: KnownSegments;
  readonly spaces: Spaces;
  /** Where this forwarder's nsmgr reaches it. */
  readonly url: string;
  /** Whether an echo comes back from a tunnel address in a moment. */
  readonly reaches: (tunnel: string, signal: AbortSignal) => Promise<boolean>;
  readonly claims: Claims;
  /** A member's segment is not there any more: whoever holds the connection lets go of it. */
  readonly onDeleted: (id: string) => void;
}

/** The segments in which this node takes part: each from its first member's coming until its last one's going. */
export class Segments implements AsyncDisposable {
  readonly #parts: SegmentsParts;
  readonly #present = new Map<string, Presence>();
  readonly #whereabouts = new Whereabouts();
  /** Coming and going of whole segments, in turn. */
  readonly #serial = new Serial();
  readonly #publications: Publications;
  readonly #pulse: Pulse;
  readonly #misdeeds: Misdeeds;
  #listening: Disposable | undefined;

  constructor(parts: SegmentsParts) {
    this.#parts = { ...parts, blocks: countedBlocks(parts.blocks, parts.clock) };
    this.#publications = new Publications({ ...parts, onRefused: (segment) => this.#present.get(segment)?.refused() });
    this.#misdeeds = new Misdeeds({
      ...{ clock: parts.clock, log: parts.log, look: () => this.counters() },
      onChange: () => {
        for (const presence of this.#present.values()) presence.misdeedsChanged();
      },
    });
    this.#pulse = new Pulse({
      ...parts,
      nodes: () => [...this.#present.values()].flatMap(({ tunnels }) => tunnels),
      onChange: (tunnel) => {
        for (const presence of this.#present.values()) if (presence.tunnels.includes(tunnel)) presence.pulseChanged();
      },
    });
  }

  /** Goes on with what an earlier run had, and removes what it left half-done. Answers the members. */
  async restore(): Promise<KeptMember[]> {
    const { store, spaces, log, claims } = this.#parts;
    const members = restoredMembers(store, log);
    const parts = new Map([...store.entries<Part>(partKey(""))].map(([, part]) => [part.segment.name, understood(part)]));
    for (const name of spaces.list()) if (!members.has(name) || !parts.has(name)) spaces.remove(name);
    for (const [name, part] of parts) if (!members.has(name)) await this.#undo(part);
    const restored: KeptMember[] = [];
    for (const [name, kept] of members) {
      const part = parts.get(name);
      if (part === undefined) {
        for (const { member } of kept) await store.remove(memberKey(member.id));
        continue;
      }
      for (const { member } of kept) {
        claims.keep(member.id, [interfaceClaim(member.side.pod, member.side.name)]);
        this.#whereabouts.add(member);
      }
      if (await this.#resumed(part, kept)) restored.push(...kept);
    }
    background(log, "looking at what members have sent before", this.#misdeeds.begin());
    spaces.close(new Set([...this.#present.values()].map(({ local }) => local.part.vni)));
    return restored;
  }

  /** Hears from now on what becomes of the segments, and what has become of them. Whoever holds the members' connections knows them by now. */
  follow(): void {
    const { known } = this.#parts;
    this.#listening = known.listen(() => this.#retold());
    if (known.isTold) this.#retold();
  }

  /** The segment that a network service of that name is; undefined for one that is none, or another site's of that name. */
  async find(service: string, signal: AbortSignal): Promise<Segment | undefined> {
    const { local, site } = siteName(service);
    const segment = await this.#parts.known.find(local, signal);
    if (segment === undefined || site === undefined) return segment;
    return [segment.home, this.#parts.own.site, ...sitesOf(segment)].includes(site) ? segment : undefined;
  }

  /** The segment on this node that a member is in. */
  local(id: string): LocalSegment | undefined {
    return this.#with(id)?.local;
  }

  member(id: string): KeptMember | undefined {
    return this.local(id)?.member(id);
  }

  get present(): readonly Presence[] {
    return [...this.#present.values()];
  }

  /** What the kernel has counted of each member. */
  async counters(): Promise<MemberCounters[]> {
    return (await Promise.all(this.present.map(({ local }) => local.counters()))).flat();
  }

  /**
   * What a pod meets in its other segments than by this membership: their prefixes, and all addresses that anybody has in them. With one
   * of those as its own it would take the other's packets for its own.
   */
  of(pod: Netns, id: string): { readonly addresses: readonly string[]; readonly prefixes: readonly string[] } {
    const others = this.#whereabouts.others(pod, id).flatMap((other) => this.local(other) ?? []);
    return {
      addresses: others.flatMap(({ addresses }) => addresses),
      prefixes: others.flatMap(({ part }) => part.segment.prefixes),
    };
  }

  /** Whether packets of a segment go to that tunnel address. */
  uses(tunnel: string): boolean {
    return this.#through(tunnel).length > 0;
  }

  /** The way to a node was measured. */
  wayChanged(tunnel: string): void {
    for (const presence of this.#through(tunnel)) presence.wayChanged();
  }

  /**
   * Makes a member of this node, with what `admit` gives it; the first one brings the segment here. Resolves when the kernel has it and
   * the others of the segment know of the node. Where it fails, `leave` undoes it.
   */
  async join(segment: Segment, id: string, admit: (local: LocalSegment) => Promise<KeptMember>, signal: AbortSignal): Promise<KeptMember> {
    const presence = await this.#hold(segment, signal);
    try {
      this.#mustBe(segment, presence);
      const kept = await admit(presence.local);
      this.#whereabouts.add({ ...kept.member, id });
      await presence.put(kept, signal);
      this.#mustBe(this.#parts.known.named(segment.name), presence);
      return kept;
    } finally {
      await this.#letGo(presence);
    }
  }

  /** Resolves when nothing of the member is left; with the last one the segment leaves this node. Fine for one that has not become a member. */
  async leave(id: string): Promise<void> {
    const presence = this.#with(id);
    if (presence === undefined) return this.#parts.claims.release(id);
    presence.holders++;
    try {
      await presence.remove(id);
      this.#whereabouts.remove(id);
      this.#parts.claims.release(id);
    } finally {
      await this.#letGo(presence);
    }
  }

  /** Stops looking, and says nothing more. What is in the kernel stays, and so does what was said. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#listening?.[Symbol.dispose]();
    this.#pulse[Symbol.dispose]();
    this.#misdeeds[Symbol.dispose]();
    this.#publications[Symbol.dispose]();
    for (const presence of this.#present.values()) await presence[Symbol.asyncDispose]();
  }

  /** Of a segment that was deleted the members are gone, or go: nobody joins them. */
  #mustBe(segment: Segment | undefined, { name, local }: Presence): void {
    if (segment?.createdMs === local.part.segment.createdMs) return;
    throw new MeshError(
      "not-found",
      `the segment ${name} was deleted${segment === undefined ? "" : " and made anew"} while a pod joined it; try again`,
    );
  }

  async #hold(segment: Segment, signal: AbortSignal): Promise<Presence> {
    return await this.#serial.run(segment.name, async () => {
      const presence = this.#present.get(segment.name) ?? (await this.#begin(segment, signal));
      presence.holders++;
      return presence;
    });
  }

  /** The last one out ends it. */
  async #letGo(presence: Presence): Promise<void> {
    presence.holders--;
    await this.#serial.run(presence.name, async () => {
      if (presence.holders === 0 && presence.local.members.length === 0) await this.#end(presence);
    });
    // Not in turn: with a registry that is away this takes its time, and whoever comes next would wait for it.
    await presence.farewell;
  }

  async #begin(segment: Segment, signal: AbortSignal): Promise<Presence> {
    const part = { segment, vni: claimVni(this.#parts.claims, "segment", partKey(segment.name)), blocks: [] };
    const presence = await this.#enter(part).catch(async (error: unknown) => {
      await this.#undo(part);
      throw error;
    });
    try {
      await presence.begin(signal);
      return presence;
    } catch (error) {
      await this.#end(presence);
      throw error;
    }
  }

  async #enter(part: Part): Promise<Presence> {
    const { spaces, store, claims } = this.#parts;
    const { name, layer } = part.segment;
    claims.take(vniClaim("segment", part.vni), partKey(name));
    await store.put(partKey(name), part);
    const space = await spaces.open({ name, layer, vni: part.vni });
    const presence = new Presence(part, space, {
      ...this.#parts,
      publications: this.#publications,
      pulse: this.#pulse,
      misdeeds: this.#misdeeds,
    });
    this.#present.set(name, presence);
    return presence;
  }

  /** Whether it goes on. Where it does not, the other segments do all the same, and its members ask for it again. */
  async #resumed(part: Part, kept: readonly KeptMember[]): Promise<boolean> {
    const { name } = part.segment;
    try {
      await (await this.#enter(part)).resume(kept);
      return true;
    } catch (error) {
      this.#parts.log.error("segment of an earlier run not taken over", { segment: name, error: asMeshError(error).message });
      const presence = this.#present.get(name);
      this.#present.delete(name);
      await presence?.[Symbol.asyncDispose]();
      return false;
    }
  }

  /** Whatever fails on the way: nothing stays. */
  async #end(presence: Presence): Promise<void> {
    if (this.#present.get(presence.name) !== presence) return;
    this.#present.delete(presence.name);
    try {
      await presence.end();
    } finally {
      await this.#undo(presence.local.part);
    }
  }

  /** The blocks may be others'. Where that cannot be said now, the registry goes on taking them for this node's, which may have them again. */
  async #undo({ segment: { name }, blocks }: Part): Promise<void> {
    const { spaces, store, claims, log } = this.#parts;
    spaces.remove(name);
    claims.release(partKey(name));
    await new Remembered(store, name).keep(new Map());
    await store.remove(partKey(name));
    for (const prefix of blocks) {
      const given = this.#parts.blocks.release({ segment: name, prefix }, afresh());
      background(log, "giving back a block of addresses", given, { segment: name, prefix });
    }
  }

  #with(id: string): Presence | undefined {
    return this.#present.get(this.#whereabouts.segmentOf(id) ?? "");
  }

  #through(tunnel: string): Presence[] {
    return [...this.#present.values()].filter(({ local }) => local.remotes.some((remote) => remote.tunnel === tunnel));
  }

  #retold(): void {
    for (const [name, presence] of this.#present) {
      const segment = this.#parts.known.named(name);
      const { createdMs } = presence.local.part.segment;
      if (segment !== undefined && segment.createdMs === createdMs) presence.describe(segment);
      // Another one of that name is another one: its members ask for it again.
      else for (const { member } of presence.local.members) this.#parts.onDeleted(member.id);
    }
  }
}

/** An older version wrote nothing of what it did not know. */
function understood(part: Part): Part {
  return { ...part, segment: Segment.fromPartial(part.segment) };
}
