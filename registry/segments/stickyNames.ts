import type { StickyLease } from "../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../core/error.js";
import { checkStickyName } from "../../core/segment/wishes.js";
import { Serial } from "../../core/serial.js";
import { fenced } from "../fenced.js";
import type { Condition, Entry } from "../store.js";
import { segmentKind } from "./document.js";
import { type Claim, giveName, type StickyNamesParts } from "./stickyGiving.js";
import { mustHave } from "./stickyHosts.js";
import { holderKey, type StickyRecord, stickyIn, stickyWrite } from "./stickyRecord.js";
import { claimedBy, saying } from "./stickyWords.js";
import { namesPrefix } from "./writing.js";

/** Registries with one store that write at once meet once or twice. */
const mostAttempts = 16;
/** A connection from which a name was taken asks for it once more, and at once. */
const mostTakenFrom = 8;

type Named<T> = Omit<T, "segment"> & { readonly segment: string };

/**
 * The sticky names of the segments that were made in this site. A name has its addresses from its first claim on, whoever has the name
 * and wherever that is; nobody else is given them, for the registry has them as it has every address of a segment that it gave.
 */
export class StickyNames {
  readonly #parts: StickyNamesParts;
  /** Of those who ask this registry at once none has to try again. */
  readonly #serial = new Serial();

  constructor(parts: StickyNamesParts) {
    this.#parts = parts;
  }

  /** Who claims it last has it. Throws "moved" for a connection that it was taken from. */
  async claim(claim: Named<Claim>, signal: AbortSignal): Promise<StickyLease> {
    checkStickyName(claim.name);
    return await this.#serial.run(claim.segment, async () => {
      for (let attempt = 0; attempt < mostAttempts; attempt++) {
        signal.throwIfAborted();
        const lease = await this.#claim(claim);
        if (lease !== undefined) return lease;
      }
      throw new MeshError("conflict", `the sticky name ${claim.name} was changed by others all the time; try again`);
    });
  }

  /** Nobody has it from now on, which changes nothing of its addresses. Where somebody else has it by now nothing happens. */
  async release({ segment, name, holder }: Omit<Named<Claim>, "wishes">): Promise<void> {
    const { store, clock, log } = this.#parts;
    const key = namesPrefix(segment) + name;
    const revision = await fenced(store, key, (found) => {
      const record = found && stickyIn(found);
      if (record?.holder === undefined || holderKey(record.holder) !== holderKey(holder)) return undefined;
      return stickyWrite(key, { ...record, holder: undefined, sinceMs: clock.now() });
    });
    if (revision !== undefined) log.info("sticky name released", { segment, name, by: holder.forwarder });
  }

  async #claim(asked: Named<Claim>): Promise<StickyLease | undefined> {
    const { store, site } = this.#parts;
    const keys = [segmentKind.prefix + asked.segment, namesPrefix(asked.segment) + asked.name];
    const [made, known] = await Promise.all(keys.map((key) => store.get(key)));
    const segment = made && segmentKind.decode(made);
    if (made === undefined || segment?.home !== site)
      throw new MeshError("not-found", `no segment ${asked.segment} was made in ${site}; make it with nsmctl create segment`);
    const claim = { ...asked, segment };
    return known === undefined ? await giveName(claim, made, this.#parts) : await this.#handOver(claim, made, known);
  }

  /** Undefined where somebody else changed it meanwhile. */
  async #handOver(claim: Claim, made: Condition, known: Entry): Promise<StickyLease | undefined> {
    const { store, registryId, clock, log } = this.#parts;
    const record = stickyIn(known);
    const { addresses, sequence, holder: before } = record;
    mustHave(claim, addresses);
    if (before !== undefined && holderKey(before) === holderKey(claim.holder)) return { addresses, sequence };
    const next = { ...inHandsOf(claim, record), sinceMs: clock.now() };
    const conditions = [made, known].map(({ key, revision }): Condition => ({ key, revision }));
    const said = saying(claim.segment.name, claim.name, next, registryId);
    const { ok } = await store.commit({ conditions, writes: [stickyWrite(known.key, next), said] });
    if (!ok) return undefined;
    const [from, to] = [before?.forwarder, claim.holder.forwarder];
    log.info("sticky name taken over", { segment: claim.segment.name, name: claim.name, from, to, sequence: next.sequence });
    return { addresses, sequence: next.sequence };
  }
}

/** Two that heal would otherwise take it from one another without end. */
function inHandsOf({ segment, name, holder }: Claim, record: StickyRecord): StickyRecord {
  const { takenFrom, holder: before } = record;
  const sequence = record.sequence + 1;
  const next = { ...record, holder, sequence, claims: claimedBy(record.claims, { id: holder.forwarder, sequence }) };
  if (before === undefined) return next;
  if (takenFrom.includes(holderKey(holder)))
    throw new MeshError(
      "moved",
      `the sticky name ${name} of the segment ${segment.name} was taken over by a member at ${before.forwarder}; join anew to have it back`,
    );
  return { ...next, takenFrom: [...takenFrom, holderKey(before)].slice(-mostTakenFrom) };
}
