import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../../core/clock.js";
import { sameMessage } from "../../core/equal.js";
import { MeshError } from "../../core/error.js";
import type { BehindHost } from "../../core/segment/membership.js";
import type { Counters, Kernel, KernelObject } from "../../kernel/model.js";
import type { StateStore } from "../../program/state.js";
import { contains, isV6 } from "../addresses.js";
import { Dataplane } from "../dataplane.js";
import { leastV6, vxlanInTunnel } from "../mtu.js";
import type { Pods } from "../pods.js";
import type { NodeTunnel } from "../tunnel/tunnel.js";
import { bridgeMac, gatewayMac, trunkMac } from "./addressing.js";
import { Behind } from "./behind.js";
import { isL2, portName, type SegmentView, trunkDevice } from "./devices.js";
import { type KeptMember, keepMember } from "./kept.js";
import { Leases } from "./leases.js";
import { memberUnits, trunkObjects } from "./objects.js";
import { Others, type OthersParts } from "./others.js";
import { type Member, memberKey, type Part, partKey, type Remote } from "./part.js";
import { policyObjects } from "./policy.js";
import { RemoteMembers } from "./remoteMembers.js";

export interface LocalParts extends OthersParts {
  /** Of the segment's namespace. */
  readonly kernel: Kernel;
  readonly store: StateStore;
  readonly tunnel: Pick<NodeTunnel, "node" | "peerMtu">;
  readonly pods: Pick<Pods, "exists">;
  readonly allocate: (segment: string, prefix: string, signal: AbortSignal) => Promise<string>;
  /** The node has other blocks than before. */
  readonly onBlocks: (part: Part) => void;
  /** Others are behind these members than before. */
  readonly onBehind: (ids: readonly string[]) => void;
  /** A member's pod is gone: whoever holds the connection lets go of it. */
  readonly onPodGone: (id: string) => void;
  /** What a member has is another's by now: whoever holds the connection lets go of it. */
  readonly onSuperseded: (id: string) => void;
  readonly clock: Clock;
}

/** What was counted at a member's port; as its pod sees it received and sent are the other way round. */
export interface MemberCounters {
  readonly segment: string;
  readonly name: string;
  readonly id: string;
  readonly counters: Counters;
}

const trunkUnit = "trunk";
const sharedUnit = (id: string) => `shared/${id}`;

/** One segment on this node: its members here, what is known of the others, and all of that in the segment's namespace. */
export class LocalSegment implements AsyncDisposable {
  readonly leases: Leases;
  readonly #parts: LocalParts;
  readonly #dataplane: Dataplane;
  readonly #remoteMembers: RemoteMembers;
  readonly #behind: Behind | undefined;
  readonly #others: Others;
  readonly #members = new Map<string, KeptMember>();
  /** Members of this node that do not count any more. */
  readonly #lost = new Set<string>();
  #part: Part;
  /** Prefixes behind members. */
  #reached: readonly string[] = [];
  #trunk: readonly KernelObject[] = [];
  /** What members have of the others, as text. */
  #shown = "";

  constructor(part: Part, parts: LocalParts) {
    this.#part = part;
    this.#parts = parts;
    const { clock, log, kernel, pods } = parts;
    this.#dataplane = new Dataplane({
      ...{ kernel, clock, log, exists: (pod) => pods.exists(pod) },
      onPodGone: (unit) => parts.onPodGone(unit.slice(memberKey("").length)),
    });
    this.#remoteMembers = new RemoteMembers(this.#dataplane);
    this.#others = new Others(parts);
    this.#behind = isL2(part.segment) ? this.#watchBehind(part.segment.name) : undefined;
    this.leases = new Leases({
      ...{ segment: () => this.#part.segment, blocks: part.blocks, keep: (blocks) => this.#keepBlocks(blocks) },
      allocate: (prefix, signal) => parts.allocate(part.segment.name, prefix, signal),
    });
  }

  get part(): Part {
    return this.#part;
  }

  get members(): KeptMember[] {
    return [...this.#members.values()];
  }

  member(id: string): KeptMember | undefined {
    return this.#members.get(id);
  }

  /** Whether a MAC address is a device's of this node, or another member's on it. */
  hasMac(mac: string, id: string): boolean {
    const { address } = this.#parts.tunnel.node;
    const devices = [gatewayMac, bridgeMac(address), trunkMac(address)];
    return devices.includes(mac) || this.members.some(({ member }) => member.mac === mac && member.id !== id);
  }

  /** Who is behind a member of this node that bridges for others. */
  behind(id: string): readonly BehindHost[] {
    return this.#behind?.of(id) ?? [];
  }

  /** All that anybody has in the segment, as far as is known. */
  get addresses(): string[] {
    const members = [...this.members.map(({ member }) => member), ...this.remotes.flatMap((remote) => remote.members)];
    return members.flatMap(({ addresses }) => addresses);
  }

  /** The other nodes, with those of their members that count. */
  get remotes(): readonly Remote[] {
    return this.#others.nodes;
  }

  /** Adopts what the kernel holds for the members that an earlier run left, and goes on watching. */
  async start(kept: readonly KeptMember[], remotes: readonly Remote[]): Promise<void> {
    for (const one of kept) {
      this.#members.set(one.member.id, one);
      this.leases.adopt(one.member.addresses);
    }
    this.#others.hear(remotes);
    await this.#behind?.start();
    this.#setAll();
    await this.#dataplane.start();
  }

  /** Of packets in the segment, as far as this node's ways to the others carry them. */
  get ownMtu(): number {
    const { tunnel } = this.#parts;
    const ways = this.remotes.map((remote) => tunnel.peerMtu(remote.tunnel) ?? tunnel.node.mtu);
    return Math.min(tunnel.node.mtu, ...ways) - vxlanInTunnel;
  }

  /** Of packets in the segment: the least that all ways between its nodes carry, or what was asked for. */
  get mtu(): number {
    const { segment } = this.#part;
    const told = this.remotes.flatMap(({ mtu }) => (mtu === 0 ? [] : [mtu]));
    const least = Math.min(this.ownMtu, ...told, ...(segment.mtu === 0 ? [] : [segment.mtu]));
    return segment.prefixes.some(isV6) ? Math.max(least, leastV6) : least;
  }

  /** What the kernel has counted at the members' ports. */
  async counters(ids: Iterable<string> = this.#members.keys()): Promise<MemberCounters[]> {
    const ports = new Map([...ids].map((id) => [portName(id), id]));
    const found = await this.#parts.kernel.counters([...ports.keys()]);
    return [...found].flatMap(([port, counters]) => {
      const member = this.#members.get(ports.get(port) ?? "")?.member;
      return member === undefined ? [] : [{ segment: member.segment, name: member.name, id: member.id, counters }];
    });
  }

  /** What it has counted of what came from the other nodes and went to them; undefined while the device is not there. */
  async trunkCounters(): Promise<Counters | undefined> {
    return (await this.#parts.kernel.counters([trunkDevice])).get(trunkDevice);
  }

  /** Resolves when the kernel has the member. Throws what the kernel refused; it is wanted all the same until it is removed. */
  async put(kept: KeptMember, signal: AbortSignal): Promise<void> {
    const { id, mac, sticky } = kept.member;
    await keepMember(this.#parts.store, kept);
    const before = this.#members.get(id);
    this.#members.set(id, kept);
    // It has the place of another one somewhere, somebody may have its place by now, or what was said of it before counts no more.
    if (before === undefined && (sticky !== "" || this.#others.tellOf(mac))) this.again();
    if (this.#lost.has(id)) throw moved(kept.member);
    this.#setMember(kept.member);
    await this.#dataplane.settled(memberKey(id), signal);
    this.#behind?.again();
  }

  /** Resolves when nothing of it is left, with the blocks that are of no more use. Fine for an id that is not known. */
  async remove(id: string): Promise<string[]> {
    const kept = this.#members.get(id);
    if (kept === undefined) return [];
    this.#members.delete(id);
    this.#lost.delete(id);
    await this.#parts.store.remove(memberKey(id));
    this.#drop(id);
    this.#behind?.again();
    if (kept.member.sticky !== "") this.again();
    let idle: string[] = [];
    try {
      await this.#dataplane.settled(memberKey(id));
    } finally {
      idle = this.leases.release(kept.member.addresses);
    }
    if (idle.length > 0) await this.#keepBlocks(this.leases.blocks);
    return idle;
  }

  /** Blocks that are not this node's any more: members that have addresses in them end. Resolves when that is on disk, to whether others stay. */
  async lose(blocks: readonly string[]): Promise<boolean> {
    const isIn = (address: string) => blocks.some((block) => contains(block, address));
    this.leases.forget(blocks);
    for (const { member } of this.members)
      if (member.addresses.some(isIn)) this.#lose(member.id, "its address is not this node's any more");
    this.again();
    await this.#keepBlocks(this.leases.blocks);
    return this.members.some(({ member }) => !this.#lost.has(member.id));
  }

  /** Knows these other nodes from now on. Resolves when the kernel does. */
  async know(remotes: readonly Remote[]): Promise<void> {
    this.#others.hear(remotes);
    this.again();
    await this.#dataplane.settled(trunkUnit);
  }

  /** The same before the first member comes; throws what the kernel refused. */
  async begin(remotes: readonly Remote[], signal: AbortSignal): Promise<void> {
    this.#trunk = [];
    this.#others.hear(remotes);
    this.again();
    await this.#dataplane.settled(trunkUnit, signal);
  }

  /** The segment is described otherwise from now on. */
  async describe(segment: Segment): Promise<void> {
    this.#part = { ...this.#part, segment };
    await this.#parts.store.put(partKey(segment.name), this.#part);
    this.#setAll();
  }

  /** Writes anew what follows from the other nodes and the ways to them; of members only where it changes something. */
  again(): void {
    const before = this.#shown;
    this.#setTrunk();
    if (before !== this.#shown) for (const { member } of this.#members.values()) this.#setMember(member);
  }

  /** Wants nothing any more. Resolves when the kernel has nothing. */
  async clear(): Promise<void> {
    this.#dataplane.drop(trunkUnit);
    await this.#dataplane.settled(trunkUnit);
  }

  /** Stops looking. What is in the kernel stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#behind?.[Symbol.asyncDispose]();
    await this.#dataplane[Symbol.asyncDispose]();
    await this.#parts.kernel[Symbol.asyncDispose]();
  }

  #watchBehind(segment: string): Behind {
    const { kernel, clock, log, onBehind } = this.#parts;
    return new Behind({
      ...{ kernel, clock, log, segment },
      ports: () => new Map(this.members.flatMap(({ member }) => (member.spoofing ? [[portName(member.id), member.id]] : []))),
      told: (mac) => this.#others.numberOf(mac),
      onChange: (ids) => {
        this.again();
        onBehind(ids);
      },
    });
  }

  #setAll(): void {
    this.#setTrunk();
    for (const { member } of this.#members.values()) this.#setMember(member);
  }

  #setTrunk(): void {
    this.#weigh();
    const behind = this.remotes.flatMap(({ members }) => members.flatMap(({ announces }) => announces));
    this.#reached = [...new Set([...behind, ...this.members.flatMap(({ member }) => member.announces)])].sort();
    this.#shown = `${this.mtu} ${this.#reached}`;
    this.#remoteMembers.set(this.#part.segment, this.remotes);
    const { segment } = this.#part;
    const all = [...this.members.map(({ member }) => member), ...this.remotes.flatMap(({ members }) => members)];
    const objects = [...trunkObjects(this.#part, this.remotes, this.#view()), ...policyObjects(segment, all)];
    // Most changes are of members that lie in their nodes' blocks.
    if (sameMessage(objects, this.#trunk)) return;
    this.#trunk = objects;
    this.#dataplane.set(trunkUnit, objects);
  }

  #weigh(): void {
    const members = this.members.map(({ member }) => member);
    const behind = members.flatMap(({ id }) => this.behind(id));
    for (const id of this.#others.weigh({ part: this.#part, members, behind }))
      if (!this.#lost.has(id)) this.#lose(id, "its sticky name is elsewhere");
  }

  /** Its addresses are at another place, to where this node's packets must go at once. */
  #lose(id: string, reason: string): void {
    const { log, onSuperseded } = this.#parts;
    log.warn("member superseded", { connection: id, segment: this.#part.segment.name, reason });
    this.#lost.add(id);
    this.#drop(id);
    onSuperseded(id);
  }

  #setMember(member: Member): void {
    if (this.#lost.has(member.id)) return;
    const { own, shared } = memberUnits(this.#part.segment, member, this.#view(), this.#reached);
    this.#dataplane.set(memberKey(member.id), own);
    this.#dataplane.revise(sharedUnit(member.id), shared);
  }

  #drop(id: string): void {
    this.#dataplane.drop(memberKey(id));
    this.#dataplane.revise(sharedUnit(id), []);
  }

  #view(): SegmentView {
    const { tunnel } = this.#parts;
    const mtuTo = (address: string) => {
      const mtu = tunnel.peerMtu(address);
      return mtu === undefined ? undefined : mtu - vxlanInTunnel;
    };
    return { tunnel: tunnel.node, mtu: this.mtu, mtuTo, routers: this.leases.routers };
  }

  async #keepBlocks(blocks: readonly string[]): Promise<void> {
    this.#part = { ...this.#part, blocks };
    await this.#parts.store.put(partKey(this.#part.segment.name), this.#part);
    this.#parts.onBlocks(this.#part);
  }
}

function moved({ sticky, segment }: Member): MeshError {
  return new MeshError("moved", `the sticky name ${sticky} of the segment ${segment} was taken over by another member meanwhile`);
}
