import { ownNetns } from "../netns.js";
import type { WireguardDevices } from "../parts.js";
import type { Outside } from "../unfragmented.js";
import { parseEndpoint } from "./addresses.js";

/** Where a tunnel's packets to an address in it really go; undefined while no peer has the address or its endpoint is not known. */
export async function outsideOf(devices: WireguardDevices, device: string, address: string): Promise<Outside | undefined> {
  const found = await devices.find([device]);
  const own = found.find((object) => object.kind === "wireguard");
  const peer = found.find(
    (object) => object.kind === "wireguard-peer" && object.allowedIps.some((range) => range.startsWith(`${address}/`)),
  );
  if (own?.kind !== "wireguard" || peer?.kind !== "wireguard-peer" || peer.endpoint === undefined) return undefined;
  return { node: ownNetns, remote: parseEndpoint(peer.endpoint).address.toString(), localPort: own.listenPort };
}
