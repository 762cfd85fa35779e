import type { Meter, Sample } from "../../core/meter.js";
import type { PeerStatus } from "../../kernel/parts.js";

/** A peer of the node tunnel: where it is, and the key that it is known by. */
interface Peer {
  readonly address: string;
  readonly publicKey: string;
}

interface Seen {
  last: number;
  count: number;
}

/**
 * What crosses the node tunnel, by peer. WireGuard counts bytes; handshakes it only gives the time of the last one of, so they are
 * counted by looking: with traffic there is one in two minutes, and the tunnel is looked at more often than that.
 */
export class Traffic {
  readonly #seen = new Map<string, Seen>();

  /** Counts what is new since the last look, and forgets peers that are gone. */
  note(statuses: readonly PeerStatus[]): void {
    const there = new Set(statuses.map(({ publicKey }) => publicKey));
    for (const key of this.#seen.keys()) if (!there.has(key)) this.#seen.delete(key);
    for (const { publicKey, lastHandshake } of statuses) {
      const seen = this.#seen.get(publicKey) ?? { last: 0, count: 0 };
      if (lastHandshake > seen.last) this.#seen.set(publicKey, { last: lastHandshake, count: seen.count + 1 });
    }
  }

  /** `look` asks WireGuard; it is called when somebody asks for the metrics, and not before. */
  tell(meter: Meter, look: () => Promise<readonly PeerStatus[]>, peers: () => readonly Peer[]): void {
    const by = (value: (status: PeerStatus) => number) => async (): Promise<Sample<"peer">[]> => {
      const addresses = new Map(peers().map(({ address, publicKey }) => [publicKey, address]));
      const statuses = await look();
      this.note(statuses);
      return statuses.flatMap((status) => {
        const peer = addresses.get(status.publicKey);
        return peer === undefined ? [] : [[{ peer }, value(status)]];
      });
    };
    const last = "When the last handshake with a peer was, seconds since 1970; 0: never";
    meter.total(
      "isthmus_tunnel_received_bytes_total",
      "What a peer sent through the node tunnel",
      ["peer"],
      by((status) => status.rxBytes),
    );
    meter.total(
      "isthmus_tunnel_sent_bytes_total",
      "What was sent to a peer through the node tunnel",
      ["peer"],
      by((status) => status.txBytes),
    );
    meter.gauge(
      "isthmus_tunnel_last_handshake_seconds",
      last,
      ["peer"],
      by((status) => status.lastHandshake / 1000),
    );
    const count = ({ publicKey }: PeerStatus) => this.#seen.get(publicKey)?.count ?? 0;
    meter.total("isthmus_tunnel_handshakes_total", "Handshakes with a peer of the node tunnel", ["peer"], by(count));
  }
}
