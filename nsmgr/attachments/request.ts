import { randomBytes, randomUUID } from "node:crypto";
import { Connection, type Mechanism } from "../../api/gen/connection/connection.js";
import type { AttachRequest } from "../../api/gen/isthmus/v1/node.js";
import type { Call } from "../../core/chain.js";
import { MeshError } from "../../core/error.js";
import { checkInterfaceName, KERNEL, LOCAL, PREFERRED } from "../../core/mechanism.js";
import { checkWishes, type JoinWishes, noWishes, wishContext } from "../../core/segment/wishes.js";
import { selectorContext } from "../../core/selector.js";
import { UP } from "../../core/states.js";
import { checkLabels, checkName, checkPodLabels } from "../check.js";
import type { Namespaces } from "../namespaces.js";
import { type AttachmentRecord, interfaceOf } from "./record.js";

const mechanisms = ["auto", "node-tunnel", "wireguard", "vxlan"] as const;

/** The record of a new attachment. MeshError "invalid" says what is wrong with the request and what is allowed. */
export function newRecord(request: AttachRequest, namespaces: Namespaces): AttachmentRecord {
  checkName("network service", request.networkService);
  checkLabels(request.labels);
  if (request.interface !== "") checkInterfaceName(request.interface);
  if (request.pod === undefined || request.pod.netnsUrl === "")
    throw new MeshError("invalid", "an attachment needs the network namespace of its pod, such as file:///run/netns/NAME");
  checkPodLabels(request.pod.labels);
  const podName = request.pod.name;
  if (podName !== "") checkName("pod", podName);
  const netnsIdentity = namespaces.identify(request.pod.netnsUrl);
  return {
    id: randomUUID(),
    segment: podName || `netns-${randomBytes(4).toString("hex")}`,
    podName,
    podLabels: request.pod.labels,
    netnsUrl: request.pod.netnsUrl,
    netnsIdentity,
    service: request.networkService,
    interface: request.interface,
    labels: request.labels,
    mechanism: mechanismOf(request.mechanism),
    endpoint: request.endpoint,
    wishes: wishesOf(request),
    state: "requesting",
    establishedMs: 0,
    heals: 0,
  };
}

function mechanismOf(name: string): string {
  const wanted = name || "auto";
  if ((mechanisms as readonly string[]).includes(wanted)) return wanted;
  throw new MeshError("invalid", `the mechanism must be one of ${mechanisms.join(", ")}, got "${name}"`);
}

function wishesOf({ ips: addresses, sticky, announces, services, allowSpoofing: spoofing }: AttachRequest): JoinWishes {
  const wishes = { addresses, sticky, announces, services, spoofing };
  checkWishes(wishes);
  return wishes;
}

/** The connection to ask for: the last one that worked, else the first wish. Its path starts here. */
export function toConnection(record: AttachmentRecord): Connection {
  if (record.connection !== undefined) return record.connection;
  const { srcIpAddrs, extraContext } = wishContext(record.wishes ?? noWishes);
  const preferred = record.mechanism === "auto" ? {} : { [PREFERRED]: record.mechanism };
  return Connection.fromPartial({
    id: record.id,
    networkService: record.service,
    networkServiceEndpointName: record.endpoint,
    labels: record.podName === "" ? record.labels : { podName: record.podName, ...record.labels },
    context: {
      extraContext: { ...preferred, ...selectorContext(record.labels), ...extraContext },
      ...(srcIpAddrs.length > 0 && { ipContext: { srcIpAddrs } }),
    },
    path: { index: 0, pathSegments: [{ id: record.id, name: record.segment }] },
  });
}

/** What a pod can do: an interface in its network namespace, once made always the same one. */
function toPreferences(record: AttachmentRecord): Mechanism[] {
  const name = interfaceOf(record);
  return [{ cls: LOCAL, type: KERNEL, parameters: { inodeURL: record.netnsUrl, ...(name === "" ? {} : { name }) } }];
}

/** The request for it, first or again. */
export function toCall(record: AttachmentRecord, signal: AbortSignal): Call {
  return { connection: { ...toConnection(record), state: UP }, preferences: toPreferences(record), signal };
}

/** Whether two records ask for one interface in one network namespace. */
export function sameInterface(a: AttachmentRecord, b: AttachmentRecord): boolean {
  const name = interfaceOf(a);
  return name !== "" && name === interfaceOf(b) && a.netnsUrl === b.netnsUrl;
}
