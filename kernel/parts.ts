import type { Step, VxlanSource, Wireguard, WireguardPeer } from "./model.js";

/** What is known of a peer while it is in use. */
export interface PeerStatus {
  readonly publicKey: string;
  /** `192.0.2.1:51820` or `[2001:db8::1]:51820`, as last seen; absent before the peer came. */
  readonly endpoint?: string | undefined;
  /** Milliseconds since 1970; 0 when there was none. */
  readonly lastHandshake: number;
  readonly rxBytes: number;
  readonly txBytes: number;
}

/** WireGuard of one mesh namespace: the kernel's own, or wireguard-go. Devices are known by name. */
export interface WireguardDevices extends AsyncDisposable {
  /** Devices of the mesh namespace whose alias starts so, and their peers. */
  list(aliasPrefix: string): Promise<(Wireguard | WireguardPeer)[]>;
  /** The same for the named devices; names that are no WireGuard devices are left out. */
  find(names: readonly string[]): Promise<(Wireguard | WireguardPeer)[]>;
  /** Does one step of kind "wireguard" or "wireguard-peer". Safe to repeat. */
  apply(step: Step): Promise<void>;
  /** Peers in use; none when the device is gone. */
  status(device: string): Promise<PeerStatus[]>;
  /** Hears of a device whose implementation died, and of its return; dispose to stop. */
  onChange(listener: (device: string, what: "gone" | "back") => void): Disposable;
}

/** The mesh namespace's filter: VXLAN only from the pairs in it, everything else of VXLAN is dropped. Synchronous. */
export interface VxlanFilter {
  list(): VxlanSource[];
  /** Whether it is in, at a cost that does not grow with the number of others. */
  has(source: VxlanSource): boolean;
  /** Makes its rules anew where somebody took them away or changed them. The pairs that went with them stay away until they are added. */
  mend(): void;
  /** There already: nothing to do. */
  add(source: VxlanSource): void;
  /** Not there: nothing to do. */
  remove(source: VxlanSource): void;
}
