import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import { background } from "../../core/background.js";
import type { Clock } from "../../core/clock.js";
import { afresh } from "../../core/deadline.js";
import { sameMessage } from "../../core/equal.js";
import { asMeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { firstSegment } from "../../core/path.js";
import type { StateStore } from "../../program/state.js";
import type { BlocksApi } from "../../rpc/blocks.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { onAbort, timeLimit } from "../../rpc/signals.js";
import type { KeptMember } from "./kept.js";
import { type LocalParts, LocalSegment } from "./local.js";
import { Names, nearest, type OpenNames } from "./names.js";
import type { Member, Part, Remote } from "./part.js";
import type { Pulse } from "./pulse.js";
import { lostBlocks } from "./reclaim.js";
import { Remembered } from "./remembered.js";
import { Remotes } from "./remotes.js";
import type { Space } from "./space.js";
import type { StickyClaims } from "./stickyClaims.js";
import { Telling, type TellingParts } from "./telling.js";
import type { Trunks } from "./trunks.js";

export interface PresenceParts extends Omit<LocalParts, "kernel" | "allocate" | "onBlocks" | "onBehind" | "stickyWords">, TellingParts {
  readonly trunks: Trunks;
  readonly pulse: Pick<Pulse, "answers">;
  readonly blocks: BlocksApi;
  readonly sticky: StickyClaims;
  readonly openNames: OpenNames;
  readonly endpoints: EndpointRegistry;
  readonly store: StateStore;
  readonly clock: Clock;
  readonly log: Log;
}

/** How long the first member of a node waits for who else is there, and then for the way to them. */
const patienceMs = 2_000;

/** A segment on this node from its first member's coming until its last one's going: what is here, who else there is, and what they are told. */
export class Presence implements AsyncDisposable {
  readonly local: LocalSegment;
  /** Joins and leaves that are under way. */
  holders = 0;
  /** Resolves when the others have been told that it ended, as far as they can be. */
  farewell: Promise<void> = Promise.resolve();
  readonly #parts: PresenceParts;
  /** The other nodes as they were last heard of. */
  readonly #remembered: Remembered;
  readonly #remotes: Remotes;
  readonly #telling: Telling;
  readonly #names: Names;
  /** Nodes that were met, by tunnel address and key. */
  readonly #met = new Set<string>();
  readonly #stop = new AbortController();
  #announced: Promise<void> | undefined;
  #reclaiming: Promise<void> | undefined;

  constructor(part: Part, { kernel, netns }: Space, parts: PresenceParts) {
    const { blocks, endpoints, pulse, own, store, clock, log } = parts;
    const { name, home } = part.segment;
    this.#parts = parts;
    this.#remembered = new Remembered(store, name);
    this.local = new LocalSegment(part, {
      ...{ ...parts, kernel },
      // One that was given and never heard of comes again before a new one does.
      allocate: (segment, prefix, signal) => blocks.allocate({ segment, prefix, exclude: this.local.part.blocks }, signal),
      onBlocks: () => this.#telling.again(),
      stickyWords: () => this.#remotes.sticky,
      onBehind: (ids) => {
        for (const id of ids) this.#telling.renew(id);
      },
    });
    this.#telling = new Telling(this.local, parts);
    this.#names = new Names({ ...parts, netns });
    this.#remotes = new Remotes({
      ...{ segment: name, own: own.id, site: own.site, home, endpoints, clock, log, restored: this.#remembered.words },
      answers: (tunnel) => pulse.answers(tunnel),
      onChange: () => this.#heard(),
      onOwn: (said, labels) => parts.publications.heard(said, labels),
    });
  }

  /** All nodes that are known, also those that do not answer. */
  get tunnels(): string[] {
    return this.#remotes.list().map(({ tunnel }) => tunnel);
  }

  get name(): string {
    return this.local.part.segment.name;
  }

  /** Goes on with the members that an earlier run left. */
  async resume(kept: readonly KeptMember[]): Promise<void> {
    const remotes = this.#remotes.list();
    for (const remote of remotes) this.#isNews(remote);
    await this.local.start(kept, remotes);
    for (const { member } of kept) this.#telling.add(member.id);
    await this.#name();
    this.#announced = Promise.resolve();
    background(this.#parts.log, "saying that this node is in a segment", this.#telling.begin(), { segment: this.name });
  }

  /** Gets what the first member needs: an address block, and word of who else is there. */
  async begin(signal: AbortSignal): Promise<void> {
    await this.local.start([], []);
    await Promise.all([this.local.leases.begin(signal), this.#patiently(signal, () => this.#remotes.listed)]);
    await this.local.begin(this.#living(), signal);
    await this.#name();
  }

  /** Resolves when the kernel has the member, and the others know of this node. */
  async put(kept: KeptMember, signal: AbortSignal): Promise<void> {
    const before = this.local.member(kept.member.id);
    await this.local.put(kept, signal);
    if (!isBehindSame(before?.member, kept.member)) this.local.again();
    this.#announced ??= this.#announce(signal).catch((error: unknown) => {
      this.#announced = undefined;
      throw error;
    });
    await this.#announced;
    this.#telling.add(kept.member.id);
    this.#tellNames();
  }

  /** Resolves when nothing of the member is left. */
  async remove(id: string): Promise<void> {
    const kept = this.local.member(id);
    for (const block of await this.local.remove(id)) this.#giveBack(block);
    this.#telling.remove(id);
    this.#tellNames();
    if (kept === undefined) return;
    if (kept.member.announces.length > 0) this.local.again();
    const { segment, sticky } = kept.member;
    if (sticky !== "") this.#parts.sticky.release({ segment, name: sticky, connection: firstSegment(kept.connection).id });
  }

  /** The last member has left: nobody looks any more. What is on disk and the namespace are the caller's. */
  async end(): Promise<void> {
    this.#stop.abort();
    // What is still to be told the others may take longer than this.
    this.farewell = this.#telling.end();
    await this.#remotes[Symbol.asyncDispose]();
    try {
      await this.local.clear();
    } finally {
      await this[Symbol.asyncDispose]();
    }
  }

  /** The registry has refused what this node says of itself: it knows otherwise whose its blocks are. */
  refused(): void {
    this.#reclaiming ??= this.#reclaim()
      .catch((error: unknown) =>
        this.#parts.log.debug("blocks of addresses not asked for", { segment: this.name, reason: asMeshError(error).message }),
      )
      .finally(() => {
        this.#reclaiming = undefined;
      });
  }

  /** The way to a node was measured. */
  wayChanged(): void {
    this.local.again();
    this.#telling.again();
  }

  /** What members of this node do may have changed. */
  misdeedsChanged(): void {
    this.#telling.again();
  }

  /** A node has stopped answering, or answers again. */
  pulseChanged(): void {
    this.#remotes.changed();
  }

  /** What the site's registry says of the segment has changed. */
  describe(segment: Segment): void {
    if (segment.version === this.local.part.segment.version) return;
    const { policy } = this.local.part.segment;
    const described = this.local.describe(segment).then(() => {
      if (!sameMessage(policy, segment.policy)) this.#telling.policyChanged();
      return this.#name();
    });
    background(this.#parts.log, "taking over a segment's description", described, { segment: this.name });
  }

  /** Stops looking. What is in the kernel stays, and so does what was said. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#names[Symbol.asyncDispose]();
    await this.#remotes[Symbol.asyncDispose]();
    await this.local[Symbol.asyncDispose]();
  }

  /** Knows the others before they know this node, so that whoever is to begin a tunnel is answered. */
  async #announce(signal: AbortSignal): Promise<void> {
    const { trunks } = this.#parts;
    const { remotes } = this.local;
    for (const remote of remotes) this.#isNews(remote);
    const met = await Promise.all(remotes.map((remote) => this.#prepared(remote, signal)));
    await this.#telling.begin();
    const known = remotes.filter((_, at) => met[at]);
    await this.#patiently(signal, (until) => Promise.all(known.map((remote) => trunks.ready(remote, until).catch(() => {}))));
  }

  /** One that cannot be met keeps nobody from meeting the others. */
  async #prepared(remote: Remote, signal: AbortSignal): Promise<boolean> {
    try {
      await this.#parts.trunks.prepare(remote, signal);
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = asMeshError(error);
      this.#parts.log.warn("node of a segment not met", { segment: this.name, node: remote.id, code, message });
      this.#notMet(remote);
      return false;
    }
  }

  /** Waits, but not for ever: what comes later comes all the same. */
  async #patiently(signal: AbortSignal, wait: (signal: AbortSignal) => Promise<unknown>): Promise<void> {
    using limit = timeLimit(this.#parts.clock, patienceMs, signal);
    await Promise.race([wait(limit.signal), new Promise<void>((resolve) => void onAbort(limit.signal, resolve))]);
    signal.throwIfAborted();
  }

  #living(): Remote[] {
    return this.#remotes.list().filter(({ tunnel }) => this.#parts.pulse.answers(tunnel));
  }

  #heard(): void {
    if (this.#stop.signal.aborted) return;
    const { log, trunks } = this.#parts;
    const living = this.#living();
    if (this.#announced !== undefined)
      for (const remote of living) if (this.#isNews(remote)) trunks.meet(remote, this.#stop.signal, () => this.#notMet(remote));
    const known = this.#remembered
      .keep(this.#remotes.words)
      .then(() => this.#know(living))
      .then(() => this.#telling.again());
    background(log, "taking over the nodes of a segment", known, { segment: this.name });
  }

  async #know(living: readonly Remote[]): Promise<void> {
    const known = this.local.know(living);
    this.#tellNames();
    await known;
  }

  #tellNames(): void {
    const { part, members, remotes } = this.local;
    const told = (isOwnSite: boolean) =>
      remotes.flatMap((remote) => ((remote.site === this.#parts.own.site) === isOwnSite ? remote.members : []));
    this.#names.tell(part, nearest([members.map(({ member }) => member), told(true), told(false)]));
  }

  async #name(): Promise<void> {
    this.#tellNames();
    await this.#names.begin(this.local.part, this.local.leases.routers);
  }

  #isNews(remote: Remote): boolean {
    if (this.#met.has(metKey(remote))) return false;
    this.#met.add(metKey(remote));
    return true;
  }

  /** It is tried again with the next news of anybody. */
  #notMet(remote: Remote): void {
    this.#met.delete(metKey(remote));
  }

  /** Members that have addresses in what is another's by now end; those who stay need an address of the node. */
  async #reclaim(): Promise<void> {
    const { signal } = this.#stop;
    const lost = await lostBlocks(this.name, this.local.leases.blocks, this.#parts, signal);
    if (lost.length > 0 && (await this.local.lose(lost))) await this.local.leases.begin(signal);
    signal.throwIfAborted();
    this.local.again();
    await this.#name();
    if (!signal.aborted) await this.#telling.begin();
  }

  /** Others may have it. Where that cannot be said now, the registry goes on taking it for this node's, which may have it again. */
  #giveBack(prefix: string): void {
    const given = this.#parts.blocks.release({ segment: this.name, prefix }, afresh());
    background(this.#parts.log, "giving back a block of addresses", given, { segment: this.name, prefix });
  }
}

function metKey({ tunnel, publicKey }: Remote): string {
  return `${tunnel} ${publicKey}`;
}

/** Whether the same lies behind a member as before, for the same rules of a policy. */
function isBehindSame(before: Member | undefined, { announces, labels = {} }: Member): boolean {
  if (announces.length === 0) return (before?.announces ?? []).length === 0;
  return sameMessage(before?.announces, announces) && sameMessage(before?.labels ?? {}, labels);
}
