import type { IKeyValue } from "etcd3";
import { MeshError } from "../../core/error.js";
import type { Listing, Revision } from "../store.js";
import { guarded } from "./guarded.js";
import type { EtcdParts } from "./parts.js";
import { theirsOf } from "./space.js";

/** etcd sends an answer as one message, whatever its size. */
const pageSize = 1_000;
/** A history that is forgotten while it is read is no reason to give up. */
const mostAttempts = 3;

/** All keys that start with `prefix` as of one moment, page by page. */
export async function list(parts: EtcdParts, prefix: string): Promise<Listing> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await listOnce(parts, prefix);
    } catch (error) {
      if (!(error instanceof MeshError && error.code === "conflict") || attempt === mostAttempts) throw error;
    }
  }
}

async function listOnce(parts: EtcdParts, prefix: string): Promise<Listing> {
  const { space, era } = parts;
  const inEra = era();
  const found: IKeyValue[] = [];
  let range = space.range(prefix);
  let revision: Revision | undefined;
  for (let more = true; more; ) {
    const at = revision === undefined ? {} : { revision: theirsOf(revision, inEra) };
    const ask = { request_range: { ...range, ...at, limit: pageSize } };
    const outcome = await parts.members.patient((client, options) => guarded({ client, options, space, era: inEra }, { success: [ask] }));
    const page = outcome.responses[0]?.response_range;
    found.push(...(page?.kvs ?? []));
    revision ??= outcome.revision;
    more = page?.more ?? false;
    range = { ...range, key: Buffer.concat([found.at(-1)?.key ?? range.key, Buffer.from([0])]) };
  }
  return { entries: found.flatMap((kv) => parts.entry(kv, inEra) ?? []), revision: revision ?? inEra.first };
}
