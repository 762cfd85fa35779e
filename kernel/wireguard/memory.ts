import type { Wireguard } from "../model.js";
import type { DeviceChange, DeviceState, PeerChange } from "./config.js";

interface Known {
  alias: string;
  mtu: number;
  keyFile: string;
  privateKey: string | undefined;
  listenPort: number;
  peers: Map<string, PeerChange>;
}

/** What a device must have again when its carrier died and took everything along: what was asked for, and the endpoints that were learned. */
export class Memory {
  readonly #devices = new Map<string, Known>();

  has(name: string): boolean {
    return this.#devices.has(name);
  }

  /** The file that its key was read from; "" for a device that an earlier process set up. */
  keyFile(name: string): string {
    return this.#devices.get(name)?.keyFile ?? "";
  }

  /** Everything in one change. */
  device(name: string): { readonly alias: string; readonly mtu: number; readonly change: DeviceChange } | undefined {
    const known = this.#devices.get(name);
    if (known === undefined) return undefined;
    const { alias, mtu, privateKey, listenPort, peers } = known;
    return { alias, mtu, change: { privateKey, listenPort, peers: [...peers.values()] } };
  }

  want(device: Wireguard, privateKey: string): void {
    const known = this.#known(device.name);
    Object.assign(known, {
      alias: device.alias,
      mtu: device.mtu,
      listenPort: device.listenPort,
      keyFile: device.privateKeyFile,
      privateKey,
    });
  }

  wantPeer(device: string, peer: PeerChange): void {
    const { peers } = this.#known(device);
    peers.set(peer.publicKey, { ...peers.get(peer.publicKey), ...withoutUndefined(peer) });
  }

  forget(name: string): void {
    this.#devices.delete(name);
  }

  forgetPeer(device: string, publicKey: string): void {
    this.#devices.get(device)?.peers.delete(publicKey);
  }

  /** Takes over what was found. */
  learn(name: string, found: DeviceState): void {
    const known = this.#known(name);
    known.privateKey = found.privateKey;
    known.listenPort = found.listenPort;
    known.peers = new Map(
      found.peers.map(({ publicKey, endpoint, allowedIps, keepalive }) => [publicKey, { publicKey, endpoint, allowedIps, keepalive }]),
    );
  }

  learnLink(name: string, link: { readonly alias: string; readonly mtu: number }): void {
    Object.assign(this.#known(name), link);
  }

  #known(name: string): Known {
    const known = this.#devices.get(name) ?? { alias: "", mtu: 0, keyFile: "", privateKey: undefined, listenPort: 0, peers: new Map() };
    this.#devices.set(name, known);
    return known;
  }
}

function withoutUndefined(peer: PeerChange): PeerChange {
  return Object.fromEntries(Object.entries(peer).filter(([, value]) => value !== undefined)) as unknown as PeerChange;
}
