import type { Segment } from "../../api/gen/isthmus/v1/segment.js";
import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { formatPrefix, type Prefix, parsePrefix } from "../../core/ipam/prefix.js";
import type { Log } from "../../core/log.js";
import type { Link } from "../../core/peer.js";
import { type Choosing, choose, type Given } from "../../core/segment/choose.js";
import { sitesOf } from "../../core/segment/spec.js";
import { Serial } from "../../core/serial.js";
import { ofOneSite } from "../../identity/spiffe.js";
import type { BlockAsk, BlocksApi } from "../../rpc/blocks.js";
import { fenced } from "../fenced.js";
import type { Condition, Entry, Store, Write } from "../store.js";
import { segmentKind } from "./document.js";
import { givenIn, giving } from "./given.js";
import { blocksPrefix, fenceKey } from "./writing.js";

/** Registries with one store that write at once meet once or twice. */
const mostAttempts = 16;

export interface SegmentBlocksParts {
  readonly store: Store;
  /** Whose registry this is. */
  readonly site: string;
  readonly clock: Clock;
  readonly log: Log;
}

/** Who asks: a node, and which program of it. */
type Asker = Pick<Given, "owner" | "holder">;

/**
 * The address blocks of segments, as far as this site gives them out. One is a node's until that gives it back, or its segment is gone:
 * whoever is away, be it for long, comes back to its own addresses.
 */
export class SegmentBlocks implements BlocksApi {
  readonly #parts: SegmentBlocksParts;
  /** Of those who ask this registry at once none has to try again. */
  readonly #serial = new Serial();

  constructor(parts: SegmentBlocksParts) {
    this.#parts = parts;
  }

  async allocate(ask: BlockAsk & { readonly exclude: readonly string[] }, signal: AbortSignal, link?: Link): Promise<string> {
    const asker = askerOf(ask, link);
    const prefix = ask.prefix === "" ? undefined : parsePrefix(ask.prefix);
    const exclude = ask.exclude.map(parsePrefix);
    return await this.#serial.run(ask.segment, async () => {
      for (let attempt = 0; attempt < mostAttempts; attempt++) {
        signal.throwIfAborted();
        const given = await this.#give({ segment: ask.segment, prefix, exclude, ...asker, at: ask.at ?? 0 });
        if (given !== undefined) return given;
      }
      throw new MeshError("conflict", `the address blocks of the segment ${ask.segment} were changed by others all the time; try again`);
    });
  }

  async release(ask: BlockAsk, _: AbortSignal, link?: Link): Promise<void> {
    const { store, log } = this.#parts;
    const { owner, holder } = askerOf(ask, link);
    const block = formatPrefix(parsePrefix(ask.prefix));
    const key = blocksPrefix(ask.segment) + block;
    const revision = await fenced(store, key, (found): Write | undefined => {
      if (found === undefined) return undefined;
      const has = givenIn(found, ask.segment);
      const isLate = ask.at !== undefined && ask.at < (has.at ?? 0);
      if (has.owner === owner && has.holder === holder) return isLate ? undefined : { op: "delete", key };
      throw new MeshError("denied", `${block} of the segment ${ask.segment} is ${has.holder}'s; ${holder} cannot give it back`);
    });
    if (revision !== undefined) log.info("address block given back", { segment: ask.segment, block, by: holder });
  }

  /** Undefined where somebody else changed the blocks, or the segment, meanwhile. */
  async #give(ask: Omit<Choosing, "from" | "given" | "prefix"> & { readonly prefix: Prefix | undefined }): Promise<string | undefined> {
    const { store, clock, log } = this.#parts;
    const { segment: name, owner, holder } = ask;
    const keys = [segmentKind.prefix + name, fenceKey(name)];
    const read = await Promise.all(keys.map((key) => store.get(key)));
    const from = this.#fromOf(name, read[0] && segmentKind.decode(read[0]), ask.prefix?.family);
    const prefix = ask.prefix ?? { ...from.prefix, length: 0 };
    // Only now: what somebody is given from here on changes the fence, and then this is not written.
    const { entries } = await store.list(blocksPrefix(name));
    const exclude = [...ask.exclude, ...from.exclude.map(parsePrefix)];
    const chosen = choose({ ...ask, prefix, exclude, from, given: entries.map((entry) => givenIn(entry, name)) });
    const block = formatPrefix(chosen.prefix);
    if (chosen.known !== undefined) return (await this.#given(name, chosen.known, ask.at ?? 0, entries)) ? block : undefined;
    const conditions = keys.map((key, at): Condition => ({ key, revision: read[at]?.revision ?? 0 }));
    const { ok } = await store.commit({
      conditions,
      writes: [
        giving(name, { ...chosen, owner, holder, at: ask.at ?? 0 }, clock.now()),
        { op: "put", key: fenceKey(name), value: Buffer.from(block) },
      ],
    });
    if (!ok) return undefined;
    log.info("address block given", { segment: name, block, to: holder, of: owner });
    return block;
  }

  /** It is the asker's, whatever it said before to give it back. False where somebody else changed it meanwhile. */
  async #given(segment: string, known: Given, at: number, entries: readonly Entry[]): Promise<boolean> {
    if ((known.at ?? 0) >= at) return true;
    const { store, clock } = this.#parts;
    const write = giving(segment, { ...known, at }, clock.now());
    const revision = entries.find(({ key }) => key === write.key)?.revision ?? 0;
    return (await store.commit({ conditions: [{ key: write.key, revision }], writes: [write] })).ok;
  }

  /** What this site may give out of a segment, of the family that is wanted; of its first one where none is. */
  #fromOf(name: string, segment: Segment | undefined, family: Prefix["family"] | undefined) {
    const { site } = this.#parts;
    if (segment === undefined)
      throw new MeshError("not-found", `there is no segment ${name} in ${site}; make it with nsmctl create segment`);
    const blocks = sitesOf(segment).includes(site) ? segment.siteBlocks.find((one) => one.site === site) : undefined;
    if (blocks === undefined)
      throw new MeshError("denied", `${site} does not take part in the segment ${name}; that is for ${sitesOf(segment).join(", ")}`);
    const prefix = blocks.prefixes.map(parsePrefix).find((one) => one.family === (family ?? one.family));
    if (prefix === undefined)
      throw new MeshError(
        "invalid",
        `the segment ${name} has no ${family === undefined ? "" : `IPv${family} `}prefix; it has ${segment.prefixes.join(" and ") || "no addresses"}`,
      );
    return { site, prefix, exclude: segment.exclude };
  }
}

/** A node speaks for its own programs, and for those of no other site. */
function askerOf({ holder }: BlockAsk, link: Link | undefined): Asker {
  if (link === undefined) throw new MeshError("denied", "address blocks are given only over TLS, to who shows a certificate");
  const { id } = link.peer;
  for (const one of [id, holder ?? id])
    if (!ofOneSite(one, link.self))
      throw new MeshError("denied", `${one} is of another site; it asks for address blocks at its own registry`);
  return { owner: id, holder: holder ?? id };
}
