import type { Clock } from "../../core/clock.js";
import type { PeerStatus } from "../../kernel/parts.js";

/** A handshake is good for so long; WireGuard makes a new one every 2 minutes where there is traffic. */
export const handshakeLifeMs = 180_000;

const firstPauseMs = 4;
const longestPauseMs = 100;

/**
 * Resolves true when the device has a fresh handshake with the peer, false when it has none in `patienceMs`.
 * WireGuard tells nobody of a handshake, so it is asked, at intervals that grow. Rejects with the signal's reason.
 */
export async function handshake(
  parts: { readonly link: { status(device: string): Promise<PeerStatus[]> }; readonly clock: Clock },
  peer: { readonly device: string; readonly publicKey: string },
  patienceMs: number,
  signal: AbortSignal,
): Promise<boolean> {
  const begin = parts.clock.monotonic();
  for (let pause = firstPauseMs; ; pause = Math.min(2 * pause, longestPauseMs)) {
    const found = (await parts.link.status(peer.device)).find(({ publicKey }) => publicKey === peer.publicKey);
    if (found !== undefined && isFresh(found, parts.clock.now())) return true;
    if (parts.clock.monotonic() - begin >= patienceMs) return false;
    await parts.clock.sleep(pause, signal);
  }
}

export function isFresh(status: PeerStatus, now: number): boolean {
  return status.lastHandshake > 0 && now - status.lastHandshake < handshakeLifeMs;
}
