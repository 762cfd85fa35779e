import type { DeviceChange, DeviceState } from "./config.js";

/** Who carries the packets of WireGuard devices: the kernel or wireguard-go. One device's calls come one at a time. */
export interface Flavour extends AsyncDisposable {
  /** What such a device is called in its link's kind. */
  readonly linkKind: "wireguard" | "tun";
  /** Makes the device in the mesh namespace, or takes over the one that is there. */
  create(name: string): Promise<void>;
  /** Leaves nothing of it. Not there: nothing to do. */
  destroy(name: string): Promise<void>;
  /** Undefined where there is no such device. */
  get(name: string): Promise<DeviceState | undefined>;
  set(name: string, change: DeviceChange): Promise<void>;
  /** Told of a device whose carrier ended without being asked to. */
  onDeath(listener: (name: string) => void): void;
}
