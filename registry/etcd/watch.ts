import type { ClientDuplexStream } from "@grpc/grpc-js";
import type { IEvent, IWatchCreateRequest, IWatchRequest, IWatchResponse } from "etcd3";
import { MeshError } from "../../core/error.js";
import { type Batch, type Change, Compacted, type Revision } from "../store.js";
import { told } from "./errors.js";
import { type Member, patienceMs } from "./members.js";
import type { EtcdParts } from "./parts.js";
import { type Era, revisionOf, theirsOf } from "./space.js";

const pauseMs = 50;

/**
 * A watch that goes on at another member when its own fails, after the last revision that it told. etcd3's own watcher resumes after the
 * revision that a member has reached, which may be past changes that were not sent yet; so this one stands on the bare stream.
 * Nothing is kept for a reader who is slow: the stream is read no further, and etcd sends the rest from its history.
 */
export async function* watch(
  parts: EtcdParts,
  prefix: string,
  { after, signal }: { readonly after: Revision; readonly signal: AbortSignal },
): AsyncGenerator<Batch> {
  const { members, space, clock } = parts;
  let position = after;
  let failing: number | undefined;
  while (!signal.aborted) {
    const member = members.current();
    const era = parts.era();
    if (position < era.first) throw new Compacted(position, era.first);
    let why: unknown = new Error("the watch ended");
    try {
      // From the last known revision on, not after it: etcd forgets the deletes of the revision up to which it was compacted.
      const request = { ...space.range(prefix), start_revision: theirsOf(position, era) };
      for await (const response of responses(member, request, signal)) {
        failing = undefined;
        if (response.canceled) throw cancelled(response, position, era);
        const batch = batchOf(parts, response.events, { era, after: position });
        if (batch !== undefined) yield batch;
        position = batch?.revision ?? position;
      }
    } catch (error) {
      if (error instanceof MeshError) throw error;
      why = error;
    }
    if (signal.aborted) return;
    members.leave(member, why);
    failing ??= clock.monotonic();
    if (clock.monotonic() - failing > patienceMs) throw told(why, members.place);
    await clock.sleep(pauseMs, AbortSignal.any([signal, members.closed])).catch(() => {});
  }
}

/** What one member says until it fails, or is left, or the signal ends. */
async function* responses(member: Member, request: IWatchCreateRequest, signal: AbortSignal): AsyncGenerator<IWatchResponse> {
  const stop = AbortSignal.any([signal, member.left]);
  // etcd3 declares less of the stream than there is.
  const stream = (await member.client.watchClient.watch()) as unknown as ClientDuplexStream<IWatchRequest, IWatchResponse>;
  // Ended before it is cancelled, or etcd3 takes the cancel for a failure of the member and closes all its channels.
  const cancel = () => {
    stream.end();
    stream.cancel();
  };
  // The one that matters comes out of the iteration; a late one would end the process.
  stream.on("error", () => {});
  stop.addEventListener("abort", cancel, { once: true });
  try {
    if (stop.aborted) return;
    stream.write({ create_request: request });
    for await (const response of stream) yield response as IWatchResponse;
  } finally {
    stop.removeEventListener("abort", cancel);
    cancel();
  }
}

function cancelled({ compact_revision, cancel_reason }: IWatchResponse, position: Revision, era: Era): unknown {
  return compact_revision === "0"
    ? new Error(cancel_reason || "the watch was ended by etcd")
    : new Compacted(position, Math.max(era.first, revisionOf(compact_revision, era)));
}

function batchOf(
  parts: EtcdParts,
  events: readonly IEvent[],
  { era, after }: { readonly era: Era; readonly after: Revision },
): Batch | undefined {
  const changes = events.flatMap((event) => {
    const revision = revisionOf(event.kv.mod_revision, era);
    return revision > after ? (changeOf(parts, event, { era, revision }) ?? []) : [];
  });
  const last = events.at(-1);
  return changes.length === 0 || last === undefined ? undefined : { changes, revision: revisionOf(last.kv.mod_revision, era) };
}

function changeOf(
  parts: EtcdParts,
  { type, kv }: IEvent,
  { era, revision }: { readonly era: Era; readonly revision: Revision },
): Change | undefined {
  const entry = parts.entry(kv, era);
  if (entry === undefined) return undefined;
  return type === "Delete" ? { type: "delete", key: entry.key, revision } : { type: "put", entry };
}
