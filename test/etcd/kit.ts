import assert from "node:assert/strict";
import { Etcd3 } from "etcd3";
import type { Fields, Log } from "../../core/log.js";
import { silent } from "../../core/log.js";
import { systemClock } from "../../program/clock.js";
import { type EtcdOptions, openEtcdStore } from "../../registry/etcd/store.js";
import type { Revision, Store, Write } from "../../registry/store.js";
import type { Etcd, EtcdMember } from "../lib/etcd.js";

export const prefix = "isthmus/test/";

export function open(options: Partial<EtcdOptions> & { readonly endpoints: readonly string[] }, log: Log = silent): Promise<Store> {
  return openEtcdStore({ prefix, ...options }, { clock: systemClock, log });
}

export function put(key: string, value = "", lease?: string): Write {
  return { op: "put", key, value: Buffer.from(value), lease };
}

/** Reads a watch in the background, as lines "put KEY=VALUE" and "delete KEY"; an error is the last of them. */
export class Reader implements AsyncDisposable {
  readonly lines: string[] = [];
  /** Every revision that was told. */
  readonly revisions: Revision[] = [];
  readonly #stop = new AbortController();
  readonly #done: Promise<void>;
  #wake: () => void = () => {};

  constructor(store: Store, prefix: string, after: Revision) {
    this.#done = this.#read(store, prefix, after);
  }

  /** Resolves when a line is there that is equal to `line`. */
  async until(line: string): Promise<void> {
    while (!this.lines.includes(line))
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stop.abort();
    await this.#done;
  }

  async #read(store: Store, prefix: string, after: Revision): Promise<void> {
    try {
      for await (const { changes, revision } of store.watch(prefix, { after, signal: this.#stop.signal })) {
        this.revisions.push(revision);
        for (const change of changes)
          this.lines.push(
            change.type === "put" ? `put ${change.entry.key}=${Buffer.from(change.entry.value).toString()}` : `delete ${change.key}`,
          );
        this.#wake();
      }
    } catch (error) {
      this.lines.push(String(error));
      this.#wake();
    }
  }
}

/** Milliseconds that `work` took. */
export async function took(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

/** The member that leads the cluster, and the others. */
export async function leaderOf(etcd: Etcd): Promise<{ readonly leader: EtcdMember; readonly others: readonly EtcdMember[] }> {
  for (const member of etcd.members) {
    const client = new Etcd3({ hosts: member.url });
    const { header, leader } = await client.maintenance.status({ deadline: Date.now() + 2_000 });
    client.close();
    if (header.member_id === leader) return { leader: member, others: etcd.members.filter((one) => one !== member) };
  }
  return assert.fail("no member leads");
}

/** A log that keeps what is said, one line each. */
export function recorder(): { readonly log: Log; readonly lines: string[] } {
  const lines: string[] = [];
  const say = (level: string) => (event: string, fields?: Fields) => void lines.push(`${level} ${event} ${JSON.stringify(fields ?? {})}`);
  const log: Log = { debugs: true, debug: say("debug"), info: say("info"), warn: say("warn"), error: say("error"), child: () => log };
  return { log, lines };
}
