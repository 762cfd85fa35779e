/** Mechanism classes. */
export const LOCAL = "LOCAL";
export const REMOTE = "REMOTE";

/** Mechanism types. NODE_TUNNEL is ours; NSM peers skip it. */
export const KERNEL = "KERNEL";
export const NODE_TUNNEL = "NODE_TUNNEL";
export const WIREGUARD = "WIREGUARD";
export const VXLAN = "VXLAN";

/** Payloads. */
export const IP = "IP";
export const ETHERNET = "ETHERNET";
