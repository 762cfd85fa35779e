import type { ICompare, IKeyValue, IRequestOp } from "etcd3";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import type {
  Batch,
  Committed,
  Condition,
  Entry,
  LeaseId,
  Listing,
  Revision,
  Store,
  StoreAbilities,
  Transaction,
  Write,
} from "../store.js";
import { checkTransaction } from "../transaction.js";
import { claim } from "./claim.js";
import { clientFactory, type TlsFiles } from "./client.js";
import { isLeaseEnded, leaseEnded } from "./errors.js";
import { guarded } from "./guarded.js";
import { grant, mustBeLease, renew, revoke } from "./leases.js";
import { list } from "./list.js";
import { Members } from "./members.js";
import type { EtcdParts } from "./parts.js";
import { type Era, Space, theirsOf } from "./space.js";
import { watch } from "./watch.js";

/** etcd counts leases in seconds, none shorter than one and a half elections, and looks twice a second which are over. */
const leaseResolutionMs = 3_000;
/** With the deadline of a call: a member that is frozen, or cut off from the others, is left within 3 s. */
const watchdogMs = 1_000;
/** More revisions than an era can have. */
const eraLength = 2 ** 40;

export interface EtcdOptions extends TlsFiles {
  /** Like http://host:2379, all http or all https; the first that answers is asked. */
  readonly endpoints: readonly string[];
  /** Before every key; ends with a slash. Registries with the same one are one. */
  readonly prefix: string;
}

/**
 * The store under `prefix` in etcd, made where nothing is. Throws "unreachable" when no member answers within 5 s, "invalid" when the
 * options are wrong or the keys there are not a registry's.
 */
export async function openEtcdStore(options: EtcdOptions, { clock, log }: { readonly clock: Clock; readonly log: Log }): Promise<Store> {
  checkOptions(options);
  const members = new Members({ urls: options.endpoints, connect: clientFactory(options), clock, log });
  try {
    const space = new Space(options.prefix);
    return new EtcdStore({ members, space, clock, log }, { made: await claim(members, space), first: 0 });
  } catch (error) {
    members[Symbol.dispose]();
    throw error;
  }
}

class EtcdStore implements Store {
  readonly abilities: StoreAbilities = { durable: true, shared: true, leaseResolutionMs };
  readonly #parts: EtcdParts;
  readonly #log: Log;
  readonly #unreadable = new Set<string>();
  readonly #watchdog: Promise<void>;
  #era: Era;

  constructor({ log, ...parts }: Pick<EtcdParts, "members" | "space" | "clock"> & { readonly log: Log }, era: Era) {
    this.#parts = { ...parts, era: () => this.#era, entry: (kv, inEra) => this.#entry(kv, inEra) };
    this.#log = log;
    this.#era = era;
    this.#watchdog = this.#guard();
  }

  async get(key: string): Promise<Entry | undefined> {
    const { members, space } = this.#parts;
    const era = this.#era;
    const success = [{ request_range: { key: space.key(key) } }];
    const { responses } = await members.patient((client, options) => guarded({ client, options, space, era }, { success }));
    const kv = responses[0]?.response_range.kvs[0];
    return kv && this.#entry(kv, era);
  }

  list(prefix: string): Promise<Listing> {
    return list(this.#parts, prefix);
  }

  async commit(transaction: Transaction): Promise<Committed> {
    checkTransaction(transaction);
    const { members, space } = this.#parts;
    const { conditions = [], writes } = transaction;
    for (const write of writes) if (write.op === "put" && write.lease !== undefined) mustBeLease(write.lease);
    const era = this.#era;
    const asked = { compare: conditions.map((one) => compareOf(space, one, era)), success: writes.map((one) => requestOf(space, one)) };
    const { ok, revision } = await members.once((client, options) =>
      guarded({ client, options, space, era }, asked).catch((cause: unknown) => {
        throw isLeaseEnded(cause) ? leaseEnded(leasesOf(writes)) : cause;
      }),
    );
    return { ok, revision };
  }

  watch(prefix: string, options: { readonly after: Revision; readonly signal: AbortSignal }): AsyncIterable<Batch> {
    return watch(this.#parts, prefix, options);
  }

  async grant(ttlMs: number): Promise<LeaseId> {
    return grant(this.#parts.members, ttlMs);
  }

  renew(lease: LeaseId): Promise<void> {
    return renew(this.#parts.members, lease);
  }

  revoke(lease: LeaseId): Promise<void> {
    return revoke(this.#parts.members, lease);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#parts.members[Symbol.dispose]();
    await this.#watchdog;
  }

  /** A member that carries watches may be silent without an end; so it is asked for the marker again and again. */
  async #guard(): Promise<void> {
    const { members, space, clock } = this.#parts;
    let said = "";
    while (!members.closed.aborted) {
      await clock.sleep(watchdogMs, members.closed).catch(() => {});
      try {
        const { kvs } = await members.once((client, options) => client.kv.range({ key: space.marker }, options));
        if (kvs[0]?.create_revision !== `${this.#era.made}`) await this.#begin();
        said = "";
      } catch (error) {
        const { code, message } = asMeshError(error);
        // That a member is gone was said when it was left.
        if (code !== "unreachable" && message !== said) this.#log.error("store in etcd not usable", { error });
        said = message;
      }
    }
  }

  /** Somebody removed the store, or etcd lost its data: watches are told that the history is gone, and what is there now. */
  async #begin(): Promise<void> {
    const { members, space } = this.#parts;
    const made = await claim(members, space);
    this.#log.warn("store in etcd was made anew", { prefix: space.prefix });
    this.#era = { made, first: this.#era.first + eraLength };
    members.leave(members.current(), new Error("the store was made anew"));
  }

  #entry(kv: IKeyValue, era: Era): Entry | undefined {
    const entry = this.#parts.space.entry(kv, era);
    const bytes = entry === undefined ? kv.key.toString("hex") : "";
    if (entry === undefined && !this.#unreadable.has(bytes)) {
      this.#unreadable.add(bytes);
      this.#log.error("key in etcd not readable, left alone: no registry writes such", { prefix: this.#parts.space.prefix, bytes });
    }
    return entry;
  }
}

function compareOf(space: Space, { key, revision }: Condition, era: Era): ICompare {
  // A revision of an earlier era is none of this one: no key was ever written then.
  const mod_revision = revision === 0 ? 0 : Math.max(-1, theirsOf(revision, era));
  return { target: "Mod", result: "Equal", key: space.key(key), mod_revision };
}

function requestOf(space: Space, write: Write): IRequestOp {
  const key = space.key(write.key);
  if (write.op === "delete") return { request_delete_range: { key } };
  return { request_put: { key, value: Buffer.from(write.value), lease: write.lease ?? 0 } };
}

function leasesOf(writes: readonly Write[]): string {
  return [...new Set(writes.flatMap((write) => (write.op === "put" && write.lease) || []))].join(" or ");
}

function checkOptions({ endpoints, prefix }: EtcdOptions): void {
  if (endpoints.length === 0) throw new MeshError("invalid", "a store in etcd needs NSM_ETCD_ENDPOINTS, such as http://127.0.0.1:2379");
  for (const url of endpoints)
    if (!/^https?:\/\/[^/\s]+:\d{1,5}$/.test(url))
      throw new MeshError("invalid", `each of NSM_ETCD_ENDPOINTS must be like http://host:2379 or https://host:2379, got ${url}`);
  if (new Set(endpoints.map((url) => url.split(":")[0])).size > 1)
    throw new MeshError("invalid", "NSM_ETCD_ENDPOINTS must be all http or all https");
  if (!prefix.endsWith("/") || prefix.includes("\u0000"))
    throw new MeshError("invalid", `NSM_ETCD_PREFIX must end with a slash, got ${JSON.stringify(prefix)}`);
}
