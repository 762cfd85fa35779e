import { EtcdLeaseInvalidError } from "etcd3";
import { MeshError } from "../../core/error.js";

/** The first pattern that fits what etcd or gRPC said decides. */
const meanings: readonly { readonly said: RegExp; readonly as: (said: string, place: string) => MeshError }[] = [
  {
    said: /database space exceeded/,
    as: (_, place) =>
      new MeshError(
        "exhausted",
        `${place} is full and takes no writes until somebody makes room: etcdctl compact, defrag, then alarm disarm; or a larger --quota-backend-bytes`,
      ),
  },
  {
    said: /revision has been compacted/,
    as: (_, place) => new MeshError("conflict", `${place} forgot the moment that was being read; try again`),
  },
  {
    said: /request is too large|too many operations|larger than max/,
    as: (said, place) => new MeshError("invalid", `${place} does not take a transaction of this size: ${said}`),
  },
  {
    said: /permission denied|authentication failed|user name is empty|invalid auth token|Unauthenticated/i,
    as: (said, place) => new MeshError("denied", `${place} does not let this registry in: ${said}; check NSM_ETCD_CERT and NSM_ETCD_KEY`),
  },
  {
    said: /certificate|self.signed|SSL|TLS|EPROTO|altnames/i,
    as: (said, place) =>
      new MeshError("unreachable", `no secure connection to ${place}: ${said}; check NSM_ETCD_CA, NSM_ETCD_CERT and NSM_ETCD_KEY`),
  },
];

/** What etcd3 threw, as one of ours; "unreachable" unless it says otherwise. `place` names etcd and where it is. */
export function told(cause: unknown, place: string): MeshError {
  if (cause instanceof MeshError) return cause;
  const said = reason(cause);
  const known = meanings.find((meaning) => meaning.said.test(said));
  const error = known?.as(said, place) ?? new MeshError("unreachable", `${place} does not answer: ${said}; check NSM_ETCD_ENDPOINTS`);
  return new MeshError(error.code, error.message, { cause });
}

export function leaseEnded(lease: string): MeshError {
  return new MeshError("not-found", `the lease ${lease} has ended; grant a new one and write again`);
}

export function isLeaseEnded(cause: unknown): boolean {
  return cause instanceof EtcdLeaseInvalidError;
}

/** Whether the call failed before anything was sent, so that it can safely be sent again. */
export function neverSent(cause: unknown): boolean {
  return /No connection established|Channel closed before call started|client was already closed/.test(reason(cause));
}

function reason(cause: unknown): string {
  const said = cause instanceof Error ? cause.message : String(cause);
  // gRPC puts its status before it, and after it when that was and what it knows of the name.
  return (
    said
      .replace(/^\d+ [A-Z_]+: /, "")
      .replace(/\s*(\([^()]*\))?\. Resolution note:.*$/s, "")
      .trim() || "no reason given"
  );
}
