import { MeshError } from "../core/error.js";
import type { TokenSource } from "../core/token.js";
import type { PeerSet } from "./peers.js";
import type { Services } from "./server.js";

/** A network in this process: same edge, same codecs, same errors as gRPC, without sockets. */
export class MemoryNetwork {
  /** Serves at a URL until disposed; then its callers' streams break as they do when a program dies. */
  listen(_url: string, _services: Services, _hop?: string): Disposable {
    throw new MeshError("unsupported", "not yet");
  }
  peers(_parts: { readonly tokens: TokenSource }): PeerSet {
    throw new MeshError("unsupported", "not yet");
  }
}
