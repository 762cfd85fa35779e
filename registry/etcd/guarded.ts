import type { CallOptions } from "@grpc/grpc-js";
import type { Etcd3, ICompare, IRequestOp, IResponseOp } from "etcd3";
import { MeshError } from "../../core/error.js";
import type { Revision } from "../store.js";
import { type Era, revisionOf, type Space } from "./space.js";

export interface Guarded {
  readonly compare?: readonly ICompare[];
  readonly success: readonly IRequestOp[];
}

export interface Outcome {
  readonly ok: boolean;
  readonly revision: Revision;
  readonly responses: readonly IResponseOp[];
}

/**
 * A transaction in the store of this era, and in no other: if the marker is not the one that we know, nothing happens and it throws
 * "unreachable". Reads go the same way, so they are linearizable and speak of the same store.
 */
export async function guarded(
  { client, options, space, era }: { readonly client: Etcd3; readonly options: CallOptions; readonly space: Space; readonly era: Era },
  { compare = [], success }: Guarded,
): Promise<Outcome> {
  const answer = await client.kv.txn(
    {
      compare: [{ target: "Create", result: "Equal", key: space.marker, create_revision: era.made }, ...compare],
      success: [...success],
      failure: [{ request_range: { key: space.marker } }],
    },
    options,
  );
  if (!answer.succeeded && answer.responses[0]?.response_range.kvs[0]?.create_revision !== `${era.made}`)
    throw new MeshError("unreachable", `the store under ${space.prefix} in etcd was removed or made anew while it was in use; try again`);
  return { ok: answer.succeeded, revision: revisionOf(answer.header.revision, era), responses: answer.responses };
}
