import { z } from "zod";
import type { Segment, SegmentList } from "../../api/gen/isthmus/v1/segment.js";
import { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Clock } from "../../core/clock.js";
import { sameMessage } from "../../core/equal.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { RecentMap } from "../../core/recentMap.js";
import { checkCuts } from "../../core/segment/cut.js";
import { membershipOf } from "../../core/segment/membership.js";
import { type Heard, retold } from "../../core/segment/moment.js";
import { checkedSpec, sitesOf } from "../../core/segment/spec.js";
import { Serial } from "../../core/serial.js";
import { following } from "../../rpc/following.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import { siteKind } from "../federation/site.js";
import { endpointKind } from "../kind.js";
import type { Entry, Revision } from "../store.js";
import type { SegmentBook } from "./book.js";
import { type WritingParts, writeSegment } from "./writing.js";

const heardForm = z.object({ history: z.string(), revision: z.number(), held: z.array(z.string()) });

export interface CopiesParts extends WritingParts {
  /** Whose registry this is. */
  readonly site: string;
  readonly book: SegmentBook;
  /** Those of this site. */
  readonly endpoints: Pick<EndpointRegistry, "find">;
  /** How many of one site are taken: each costs a name here, which nobody else can have then. */
  readonly most: number;
  readonly clock: Clock;
  readonly log: Log;
}

/**
 * The segments of other sites that this one takes part in, as those tell them: copied into the own store, so that they stay while their
 * home is away. What the home does not tell any more while it is there is deleted here too.
 */
export class Copies implements AsyncDisposable {
  readonly #parts: CopiesParts;
  readonly #serial = new Serial();
  readonly #stop = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** Why one was refused, so that it is not said again with every change of another. */
  readonly #refused = new RecentMap<string, string>(1_024);
  /** By home. `beyond`: for want of room. */
  readonly counts = new Map<string, { readonly copied: number; readonly leftOut: number; readonly beyond: number }>();

  constructor(parts: CopiesParts) {
    this.#parts = parts;
  }

  /** Takes over what the site says until the signal ends. Never rejects. */
  async follow(home: string, watch: (signal: AbortSignal) => AsyncIterable<SegmentList>, signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#parts;
    // What a site said before it was left is not taken after that.
    const take = (told: SegmentList) => this.#serial.run(home, async () => void (signal.aborted || (await this.#take(home, told))));
    await this.#tracked(following({ watch, take, what: "segments", from: home, clock, log }, signal));
  }

  /** Only these are joined: of others nothing is kept. */
  async keepOnly(joined: readonly string[]): Promise<void> {
    const { book, site, store } = this.#parts;
    const heard = (await store.list(everyHome)).entries.map(({ key }) => key.slice(everyHome.length));
    const homes = new Set([...heard, ...book.current.map(({ home }) => home)].filter((home) => home !== site && !joined.includes(home)));
    for (const home of homes) await this.#tracked(this.#serial.run(home, () => this.#leave(home)));
  }

  /** Waits for what is being written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await Promise.allSettled(this.#running);
  }

  /** The store knows better than a view of it: another registry of this site may have joined it just now. */
  async #leave(home: string): Promise<void> {
    if ((await this.#parts.store.get(siteKind.prefix + home)) !== undefined) return;
    for (const name of this.#copiesOf(home)) await this.#end(home, name);
    this.counts.delete(home);
    await this.#parts.store.commit({ writes: [{ op: "delete", key: heardKey(home) }] });
  }

  async #tracked(task: Promise<void>): Promise<void> {
    this.#running.add(task);
    await task.finally(() => this.#running.delete(task));
  }

  async #take(home: string, { segments, ...moment }: SegmentList): Promise<void> {
    const { store, log } = this.#parts;
    const before = heardIn(await store.get(heardKey(home)));
    const { ended, heard } = retold(this.#copiesOf(home), new Set(segments.map(({ name }) => name)), moment, before);
    for (const name of ended) await this.#end(home, name);
    for (const segment of this.#wanted(home, segments)) await this.#adopt(home, segment);
    const copied = this.#copiesOf(home).length;
    const { beyond = 0 } = this.counts.get(home) ?? {};
    this.counts.set(home, { copied, leftOut: segments.length + heard.held.length - copied, beyond });
    if (sameMessage(heard, before)) return;
    await store.commit({ writes: [{ op: "put", key: heardKey(home), value: Buffer.from(JSON.stringify(heard)) }] });
    const fresh = heard.held.filter((name) => !before?.held.includes(name));
    if (fresh.length > 0) log.warn("segments kept that their home has forgotten", { home, segments: fresh });
  }

  /** Those that are here already, and of the others as many as there is room for. */
  #wanted(home: string, told: readonly Segment[]): Segment[] {
    const here = new Set(this.#copiesOf(home));
    let room = this.#parts.most - here.size;
    const wanted = told.filter(({ name }) => here.has(name) || room-- > 0);
    this.#tell(home, told.length - wanted.length);
    return wanted;
  }

  /** Once, until there are none left out, or more. */
  #tell(home: string, leftOut: number): void {
    const { most, log } = this.#parts;
    if (leftOut > 0 && leftOut !== this.counts.get(home)?.beyond)
      log.warn("segments of another site left out, it has as many here as NSM_SEGMENTS_PER_SITE allows", { home, leftOut, allowed: most });
    this.counts.set(home, { copied: 0, leftOut, ...this.counts.get(home), beyond: leftOut });
  }

  #copiesOf(home: string): string[] {
    return this.#parts.book.current.flatMap((segment) => (segment.home === home ? [segment.name] : []));
  }

  async #adopt(home: string, segment: Segment): Promise<void> {
    const { log, site } = this.#parts;
    try {
      checkCopy(segment, home, site);
      await this.#write(home, segment);
      this.#refused.delete(segment.name);
    } catch (error) {
      const { code, message } = asMeshError(error);
      if (code !== "invalid" && code !== "exists") throw error;
      if (this.#refused.get(segment.name) !== message)
        log.warn("segment of another site refused", { home, segment: segment.name, reason: message });
      this.#refused.set(segment.name, message);
    }
  }

  async #write(home: string, segment: Segment): Promise<void> {
    const { log } = this.#parts;
    // Made anew under its name: what nodes had of the one before is not theirs any more.
    const before = this.#parts.book.get(segment.name);
    if (before?.home === home && before.createdMs !== segment.createdMs) await this.#end(home, segment.name);
    const early = this.#parts.book.has(segment.name) ? [] : await this.#serving(segment.name);
    const revision = await writeSegment(segment.name, this.#parts, (known, service) => {
      if (known === undefined && service !== undefined)
        throw new MeshError("exists", `${segment.name} is a network service here already, of ${service.pathIds[0] || "nobody known"}`);
      if (known !== undefined && known.home !== home)
        throw new MeshError("exists", `there is a segment ${segment.name} of ${known.home} here already`);
      // One of several registries of its home may be a little behind another.
      const older = known !== undefined && known.createdMs === segment.createdMs && known.version > segment.version;
      return older || sameMessage(known, segment) ? undefined : segment;
    });
    if (revision === undefined) return;
    log.info("segment copied", { home, segment: segment.name, version: segment.version });
    await this.#settled(revision);
    // Nobody has asked who they are. Those who are its nodes say it again.
    for (const name of early)
      await this.#parts.store.commit({ conditions: [], writes: [{ op: "delete", key: endpointKind.prefix + name }] });
  }

  /** Who of this site is said to be a node of that segment; "exists" where somebody serves something else under its name, and would lose its clients. */
  async #serving(name: string): Promise<string[]> {
    const found: string[] = [];
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [name] });
    for await (const { value } of this.#parts.endpoints.find(query, { watch: false }, { signal: this.#stop.signal })) {
      if (membershipOf(value, name) === undefined) throw new MeshError("exists", `the endpoint ${value.name} serves ${name} here already`);
      found.push(value.name);
    }
    return found;
  }

  async #end(home: string, name: string): Promise<void> {
    const revision = await writeSegment(name, this.#parts, (known) => (known?.home === home ? "nothing" : undefined));
    if (revision === undefined) return;
    this.#parts.log.info("copy of a segment deleted, its home has it no more", { home, segment: name });
    await this.#settled(revision);
  }

  async #settled(revision: Revision): Promise<void> {
    await this.#parts.book.settled(revision, this.#stop.signal);
  }
}

/** Throws "invalid" for what another site may not tell us. */
function checkCopy(segment: Segment, home: string, site: string): void {
  const { name, siteBlocks } = segment;
  if (segment.home !== home) throw new MeshError("invalid", `it says that it was made in ${segment.home}`);
  if (!sitesOf(segment).includes(site)) throw new MeshError("invalid", `${site} is none of its sites`);
  const { prefixes, exclude } = checkedSpec(segment, home);
  if (!sameMessage([prefixes, exclude], [segment.prefixes, segment.exclude]))
    throw new MeshError("invalid", `the prefixes of the segment ${name} are not in their shortest form`);
  checkCuts(segment);
  if (!siteBlocks.some((blocks) => blocks.site === site)) throw new MeshError("invalid", `it says nothing of what ${site} may give out`);
}

/** Before what each other site has told of its segments last. */
const everyHome = "segment-home/";

function heardKey(home: string): string {
  return everyHome + home;
}

/** One that is not readable counts as none. */
function heardIn(entry: Entry | undefined): Heard | undefined {
  try {
    return entry && heardForm.parse(JSON.parse(Buffer.from(entry.value).toString("utf8")));
  } catch {
    return undefined;
  }
}
