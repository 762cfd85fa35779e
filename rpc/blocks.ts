import { type PrefixRequest, Type } from "../api/gen/ipam/ipam.js";
import { asMeshError, MeshError } from "../core/error.js";
import type { Link } from "../core/peer.js";
import { duplex } from "./bind.js";
import { type Caller, defaultPatienceMs } from "./caller.js";
import { segmentHeaders, segmentOf } from "./headers.js";
import { blockMethods } from "./methods.js";
import type { Answering } from "./transport.js";

/** Which addresses of which segment. */
export interface BlockAsk {
  readonly segment: string;
  /** As 10.60.0.0/24. */
  readonly prefix: string;
  /** The SPIFFE id of the program that gives the addresses out; the caller's unless given. nsmgr says it for its forwarder. */
  readonly holder?: string | undefined;
  /** Counts what a program asks, so that what comes late is known for that. Absent where it does not count. */
  readonly at?: number | undefined;
}

/** ipam.IPAM: address blocks of segments, for those who give addresses. Every failure is a MeshError. `link` is absent for a client. */
export interface BlocksApi {
  /**
   * The block that is the caller's from now on, until it is released. A prefix of length 0 (0.0.0.0/0, ::/0) means any block of that
   * family, none any block of the segment's first family, as NSM's clients ask; a host's prefix (/32, /128) a fixed address, another one
   * that block: again, after a restart, or by choice.
   * `exclude`: what is not to be given. Who asks for any block names those that it knows to have: one that it was given and never heard
   * of is given to it again before another.
   */
  allocate(ask: BlockAsk & { readonly exclude: readonly string[] }, signal: AbortSignal, link?: Link): Promise<string>;
  /** "denied" for a block of another's; success when nobody has it, and without a change where the caller has asked for it since then. */
  release(ask: BlockAsk, signal: AbortSignal, link?: Link): Promise<void>;
}

/** What it answers on the wire: one response for each request, in their order. */
export function managingBlocks(api: BlocksApi): Answering[] {
  return [
    duplex(blockMethods.manage, async function* (requests, { headers, signal, link }) {
      const of = segmentOf(headers);
      for await (const { type, prefix, excludePrefixes } of requests) {
        if (type === Type.ALLOCATE)
          yield { prefix: await api.allocate({ ...of, prefix, exclude: excludePrefixes }, signal, link), excludePrefixes };
        else {
          await api.release({ ...of, prefix }, signal, link);
          yield { prefix, excludePrefixes };
        }
      }
    }),
  ];
}

/** ipam.IPAM at a URL; one request for each call. */
export function blocksClient(caller: Caller, url: string): BlocksApi {
  const ask = async (of: BlockAsk, request: PrefixRequest, signal: AbortSignal): Promise<string> => {
    const options = { signal, headers: segmentHeaders(of), patienceMs: defaultPatienceMs };
    for await (const { prefix } of caller.duplex(url, blockMethods.manage, once(request), options)) return prefix;
    // A stream whose signal ended ends without a word.
    if (signal.aborted) throw asMeshError(signal.reason);
    throw new MeshError("internal", `${url} did not answer for ${request.prefix} of the segment ${of.segment}`);
  };
  return {
    allocate: (of, signal) => ask(of, { type: Type.ALLOCATE, prefix: of.prefix, excludePrefixes: [...of.exclude] }, signal),
    release: async (of, signal) => void (await ask(of, { type: Type.DELETE, prefix: of.prefix, excludePrefixes: [] }, signal)),
  };
}

async function* once<T>(value: T): AsyncGenerator<T> {
  yield value;
}
