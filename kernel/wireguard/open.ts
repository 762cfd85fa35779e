import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { findFamily, openGeneric } from "../netlink/generic.js";
import { ownNetns } from "../netns.js";
import type { WireguardDevices } from "../parts.js";
import { Devices } from "./devices.js";
import { GoFlavour } from "./goFlavour.js";
import { KernelFlavour } from "./kernelFlavour.js";
import { MeshLinks } from "./links.js";
import { findWireguardGo } from "./spawn.js";

/** What carries WireGuard on this machine: the kernel where it can, else wireguard-go. Throws MeshError unsupported. */
export function detectWireguard(): "kernel" | "wireguard-go" {
  using socket = openGeneric();
  if (findFamily(socket, "wireguard") !== undefined) return "kernel";
  if (findWireguardGo() !== undefined) return "wireguard-go";
  throw new MeshError(
    "unsupported",
    "this machine has no WireGuard: neither the kernel's (load it with `modprobe wireguard`) nor wireguard-go in PATH (Debian: apt-get install wireguard-go)",
  );
}

/** What `openWireguard` needs. */
export interface WireguardParts {
  /** The path of the mesh namespace, which exists. */
  readonly mesh: string;
  /** The path of the node's namespace, where UDP sockets are made; this process's own unless told. */
  readonly node?: string | undefined;
  readonly clock: Clock;
  readonly log: Log;
  /** Where wireguard-go's own words go, a file a device. */
  readonly logDir: string;
  /** Detected unless told. */
  readonly flavour?: "kernel" | "wireguard-go" | undefined;
}

/** WireGuard of one mesh namespace. Devices that are there already are found and taken over. */
export function openWireguard(parts: WireguardParts): WireguardDevices {
  const kind = parts.flavour ?? detectWireguard();
  const node = parts.node ?? ownNetns;
  const links = new MeshLinks({ mesh: parts.mesh, node });
  const flavour = kind === "kernel" ? new KernelFlavour(parts.mesh, links) : new GoFlavour({ ...parts, node, links });
  return new Devices({ ...parts, flavour, links });
}
