import { createHash } from "node:crypto";
import type { ServedEndpoint, ServeRequest } from "../../api/gen/isthmus/v1/node.js";
import { MeshError } from "../../core/error.js";
import { PrefixPool } from "../../core/ipam/pool.js";
import { ETHERNET, IP } from "../../core/mechanism.js";
import { checkLabels, checkName, checkPodLabels } from "../check.js";
import type { Namespaces } from "../namespaces.js";

/** An endpoint that nsmgr serves for a pod. JSON-safe. */
export interface HostedRecord {
  readonly name: string;
  readonly service: string;
  readonly podName: string;
  /** Of the pod itself, for the policy; absent in what older versions wrote. */
  readonly podLabels?: Readonly<Record<string, string>> | undefined;
  readonly netnsUrl: string;
  readonly netnsIdentity: string;
  readonly cidrs: readonly string[];
  readonly payload: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Kept until it is unserved, through restarts; else it ends with the stream that asked for it. */
  readonly detached: boolean;
}

/** The record of a new endpoint. MeshError "invalid" says what is wrong with the request and what is allowed. */
export function newHosted(request: ServeRequest, namespaces: Namespaces): HostedRecord {
  checkName("network service", request.networkService);
  checkLabels(request.labels);
  if (request.pod === undefined || request.pod.netnsUrl === "")
    throw new MeshError("invalid", "an endpoint needs the network namespace of its pod, such as file:///run/netns/NAME");
  const { name: podName, netnsUrl, labels: podLabels } = request.pod;
  checkPodLabels(podLabels);
  const netnsIdentity = namespaces.identify(netnsUrl);
  const cidrs = request.cidrs.map((cidr) => cidr.trim());
  checkCidrs(cidrs);
  if (request.name !== "") checkName("endpoint", request.name);
  return {
    name: request.name || generatedName(request, netnsUrl, cidrs),
    service: request.networkService,
    podName,
    podLabels,
    netnsUrl,
    netnsIdentity,
    cidrs,
    payload: payloadOf(request.payload),
    labels: request.labels,
    detached: request.detach,
  };
}

/** SERVICE-POD-hash: the same for the same wish, so that serving it twice is noticed. */
function generatedName(request: ServeRequest, netnsUrl: string, cidrs: readonly string[]): string {
  const labels = Object.entries(request.labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const hash = createHash("sha256")
    .update(JSON.stringify([netnsUrl, cidrs, labels]))
    .digest("hex")
    .slice(0, 8);
  return [request.networkService, request.pod?.name, hash].filter((part) => part).join("-");
}

function payloadOf(payload: string): string {
  const wanted = payload.toUpperCase() || IP;
  if (wanted === IP || wanted === ETHERNET) return wanted;
  throw new MeshError("invalid", `the payload must be ip or ethernet, got "${payload}"`);
}

function checkCidrs(cidrs: readonly string[]): void {
  if (cidrs.length === 0) throw new MeshError("invalid", "an endpoint needs a range of addresses to give, such as 172.16.1.0/24");
  const families = cidrs.map((cidr) => new PrefixPool([cidr]).family);
  if (new Set(families).size !== families.length) throw new MeshError("invalid", `at most one range per family, got ${cidrs.join(", ")}`);
}

export function toServed(record: HostedRecord, connections: number): ServedEndpoint {
  return {
    name: record.name,
    networkService: record.service,
    pod: { name: record.podName, netnsUrl: record.netnsUrl, labels: { ...record.podLabels } },
    cidrs: [...record.cidrs],
    payload: record.payload,
    labels: { ...record.labels },
    connections,
    detached: record.detached,
  };
}
