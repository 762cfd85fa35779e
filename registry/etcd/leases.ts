import type { CallOptions, ClientDuplexStream } from "@grpc/grpc-js";
import type { Etcd3, ILeaseKeepAliveRequest, ILeaseKeepAliveResponse } from "etcd3";
import { MeshError } from "../../core/error.js";
import type { LeaseId } from "../store.js";
import { isLeaseEnded, leaseEnded } from "./errors.js";
import type { Members } from "./members.js";

/** etcd's longest. */
const longestSeconds = 9_000_000_000;

/** Leases are etcd's own. etcd3's would renew by themselves, which is not what a registry's are for. */
export function grant(members: Members, ttlMs: number): Promise<LeaseId> {
  if (!(ttlMs > 0)) throw new MeshError("invalid", `a lease must last longer than 0 ms, got ${ttlMs}`);
  const TTL = Math.min(Math.ceil(ttlMs / 1_000), longestSeconds);
  // Granted twice, the first ends by itself.
  return members.patient(async (client, options) => (await client.leaseClient.leaseGrant({ TTL }, options)).ID);
}

export async function renew(members: Members, lease: LeaseId): Promise<void> {
  mustBeLease(lease);
  const { TTL } = await members.patient((client, options) => keepAlive(client, options, lease));
  if (Number(TTL) <= 0) throw leaseEnded(lease);
}

export async function revoke(members: Members, lease: LeaseId): Promise<void> {
  if (!isLease(lease)) return;
  await members.patient(async (client, options) => {
    await client.leaseClient.leaseRevoke({ ID: lease }, options).catch((cause: unknown) => {
      if (!isLeaseEnded(cause)) throw cause;
    });
  });
}

/** Throws "not-found" for what was never a lease of etcd's. */
export function mustBeLease(lease: LeaseId): void {
  if (!isLease(lease)) throw leaseEnded(lease);
}

function isLease(lease: LeaseId): boolean {
  return /^[1-9]\d{0,18}$/.test(lease);
}

/** One question and one answer on a stream of their own. */
async function keepAlive(client: Etcd3, options: CallOptions, lease: LeaseId): Promise<ILeaseKeepAliveResponse> {
  const stream = (await client.leaseClient.leaseKeepAlive(options)) as unknown as ClientDuplexStream<
    ILeaseKeepAliveRequest,
    ILeaseKeepAliveResponse
  >;
  stream.on("error", () => {});
  try {
    stream.write({ ID: lease });
    for await (const answer of stream) return answer as ILeaseKeepAliveResponse;
    throw new Error("etcd ended the stream without an answer");
  } finally {
    stream.end();
    stream.cancel();
  }
}
