import type { PeerStatus } from "../../kernel/parts.js";

/** What the tunnel must be able to see and measure. */
export interface TunnelLink {
  status(device: string): Promise<PeerStatus[]>;
  /** The largest packet that reaches a tunnel address whole, and comes back; undefined: none did. At most `most`. */
  pathMtu(address: string, most: number, signal: AbortSignal): Promise<number | undefined>;
  /** Whether an echo comes back from a tunnel address in a moment. */
  reaches(address: string, signal: AbortSignal): Promise<boolean>;
}
