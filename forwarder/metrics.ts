import type { Element } from "../core/chain.js";
import { mechanismName } from "../core/mechanism.js";
import { withOwnMetrics } from "../core/path.js";
import type { Counters, Kernel } from "../kernel/model.js";
import type { CrossConnect, Side } from "./crossConnect.js";
import { devicesOf } from "./names.js";
import type { Wanted } from "./wanted.js";

/** What this hop says of a connection's two sides. "server" is the one towards the client, as NSM has it. */
export function sideMetrics(connect: CrossConnect): Record<string, string> {
  const { client, endpoint } = connect;
  const remote = [client, endpoint].find((side) => side.kind !== "kernel");
  const port = [client, endpoint].find((side) => side.kind === "wireguard")?.listenPort;
  const { client: clientDevice, endpoint: endpointDevice } = devicesOf(connect);
  return {
    "isthmus.server_mechanism": mechanismName(client.mechanism),
    "isthmus.client_mechanism": mechanismName(endpoint.mechanism),
    server_interface: `${client.mechanism.type}/${interfaceName(client, clientDevice)}`,
    client_interface: `${endpoint.mechanism.type}/${interfaceName(endpoint, endpointDevice)}`,
    ...(remote === undefined ? {} : { "isthmus.encrypted": String(remote.kind !== "vxlan") }),
    ...(port === undefined ? {} : { "isthmus.listen_port": String(port) }),
  };
}

function interfaceName(side: Side, device: string): string {
  return side.kind === "kernel" ? side.name : device;
}

/** Adds the counters of both sides to the answer of a refresh. */
export function counters(parts: { readonly kernel: Pick<Kernel, "counters">; readonly wanted: Wanted }): Element {
  return {
    name: "counters",
    async request(call, next) {
      const conn = await next.request(call);
      const connect = parts.wanted.get(conn.id)?.connect;
      if (!call.established || connect === undefined) return conn;
      const devices = devicesOf(connect);
      const found = await parts.kernel.counters([devices.client, devices.endpoint]);
      return withOwnMetrics(conn, counterMetrics(found.get(devices.client), found.get(devices.endpoint)));
    },
  };
}

/**
 * A redirect goes round the transmit counters of the device it goes to: what a pod was sent is what came in on the other side.
 */
export function counterMetrics(client: Counters | undefined, endpoint: Counters | undefined): Record<string, string> {
  return { ...half("server", client, endpoint), ...half("client", endpoint, client) };
}

function half(name: string, own: Counters | undefined, other: Counters | undefined): Record<string, string> {
  const values = {
    rx_bytes: own?.rxBytes,
    rx_packets: own?.rxPackets,
    tx_bytes: other?.rxBytes,
    tx_packets: other?.rxPackets,
    drops: own?.drops,
  };
  return Object.fromEntries(
    Object.entries(values).flatMap(([key, value]) => (value === undefined ? [] : [[`${name}_${key}`, String(value)]])),
  );
}
