import { MeshError } from "../../core/error.js";
import type { WireguardDevices } from "../parts.js";

/** WireGuard of a namespace that has none. */
export const noWireguard: WireguardDevices = {
  list: async () => [],
  find: async () => [],
  apply: async (step) => {
    throw new MeshError("internal", `${step.key}: this namespace has no WireGuard`);
  },
  status: async () => [],
  onChange: () => ({ [Symbol.dispose]: () => {} }),
  [Symbol.asyncDispose]: async () => {},
};
