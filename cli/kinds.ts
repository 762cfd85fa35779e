import type { NodeClient } from "../rpc/node.js";
import type { Row } from "./table.js";
import { attachmentState, connectionView, endpointView, serviceView } from "./view.js";

/** Something that `get` lists and `describe` shows. */
export interface Kind {
  readonly name: string;
  readonly plural: string;
  /** Whether every node of a site gives the same answer, so that any will do. */
  readonly siteWide: boolean;
  readonly columns: readonly string[];
  list(node: NodeClient, signal: AbortSignal): Promise<readonly object[]>;
  row(item: never): Row;
  /** What `describe` finds it by. */
  key(item: never): string;
}

const words = (labels: Readonly<Record<string, string>>) =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .sort()
    .join(",");

const endpointRow = (item: ReturnType<typeof endpointView>): Row => ({
  name: item.name,
  services: item.services.join(","),
  labels: words(Object.assign({}, ...Object.values(item.labels))),
  url: item.url,
  expires: item.expires,
});

/** Every kind, by the word that `get` takes. */
export const kinds: readonly Kind[] = [
  {
    name: "service",
    plural: "services",
    siteWide: true,
    columns: ["name", "payload", "matches"],
    list: async (node, signal) => (await node.listServices(signal)).map(serviceView),
    row: (item: ReturnType<typeof serviceView>) => ({ name: item.name, payload: item.payload, matches: item.matches.length }),
    key: (item: ReturnType<typeof serviceView>) => item.name,
  },
  {
    name: "endpoint",
    plural: "endpoints",
    siteWide: true,
    columns: ["name", "services", "labels", "url", "expires"],
    list: async (node, signal) => (await node.listEndpoints(signal)).map(endpointView),
    row: endpointRow,
    key: (item: ReturnType<typeof endpointView>) => item.name,
  },
  {
    name: "connection",
    plural: "connections",
    siteWide: false,
    columns: ["id", "service", "endpoint", "state", "mechanism", "encrypted", "path"],
    list: async (node, signal) => (await node.listConnections(signal)).map(connectionView),
    row: (item: ReturnType<typeof connectionView>) => ({ ...item, ...flat(item) }),
    key: (item: ReturnType<typeof connectionView>) => item.id,
  },
  {
    name: "attachment",
    plural: "attachments",
    siteWide: false,
    columns: ["id", "pod", "service", "endpoint", "interface", "addresses", "mechanism", "encrypted", "state", "heals"],
    list: async (node, signal) => (await node.listAttachments(signal)).map(attachmentState),
    row: (item: ReturnType<typeof attachmentState>) => ({ ...item, ...flat(item) }),
    key: (item: ReturnType<typeof attachmentState>) => item.id,
  },
  {
    name: "forwarder",
    plural: "forwarders",
    siteWide: false,
    columns: ["name", "services", "labels", "url", "expires"],
    list: async (node, signal) => (await node.listForwarders(signal)).map(endpointView),
    row: endpointRow,
    key: (item: ReturnType<typeof endpointView>) => item.name,
  },
  {
    name: "node",
    plural: "nodes",
    siteWide: true,
    columns: ["name", "site", "url", "forwarders"],
    list: async (node, signal) =>
      (await node.listNodes(signal)).map(({ name, site, nsmgrUrl, forwarders }) => ({ name, site, url: nsmgrUrl, forwarders })),
    row: (item: { name: string; site: string; url: string; forwarders: string[] }) => ({ ...item, forwarders: item.forwarders.join(",") }),
    key: (item: { name: string }) => item.name,
  },
];

/** The kind of that name, in the singular or the plural. */
export function kindOf(word: string): Kind | undefined {
  return kinds.find((kind) => kind.name === word || kind.plural === word);
}

function flat(item: { readonly addresses: readonly string[]; readonly path: readonly { readonly name: string }[] }) {
  return {
    addresses: item.addresses.join(","),
    peerAddresses: "",
    routes: "",
    labels: "",
    path: item.path.map(({ name }) => name).join(" > "),
  };
}
