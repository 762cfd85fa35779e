import type { NodeClient } from "../rpc/node.js";
import { countersAt } from "./segment/counters.js";
import { type MemberView, rosterOf } from "./segment/roster.js";
import { mustBeThere } from "./segment/there.js";
import {
  type BlockView,
  blockView,
  type DescribedSegment,
  describedSegment,
  describedText,
  type SegmentView,
  segmentView,
} from "./segment/view.js";
import type { RegistryClient } from "./session.js";
import type { Row } from "./table.js";
import { attachmentState, connectionView, endpointView, serviceView } from "./view.js";

/** Whom a kind can ask; each is connected to only when it is asked. */
export interface Sources {
  node<T>(use: (node: NodeClient) => Promise<T>): Promise<T>;
  registry<T>(use: (registry: RegistryClient) => Promise<T>): Promise<T>;
}

/** Something that `get` lists and `describe` shows. */
export interface Kind {
  readonly name: string;
  readonly plural: string;
  /** Whether every node of a site gives the same answer, so that any will do. */
  readonly siteWide: boolean;
  /** What those listed are of, a word that follows; undefined where it is the whole node or site. */
  readonly of?: "segment";
  readonly columns: readonly string[];
  list(from: Sources, signal: AbortSignal, of: string): Promise<readonly object[]>;
  /** What `describe` shows of one, where that is more than is listed. */
  describe?(item: never, from: Sources, signal: AbortSignal): Promise<object>;
  /** What `describe` shows, for people; as YAML where it does not say. */
  text?(described: never): Promise<string>;
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
    list: ({ node }, signal) => node(async (one) => (await one.listServices(signal)).map(serviceView)),
    row: (item: ReturnType<typeof serviceView>) => ({ name: item.name, payload: item.payload, matches: item.matches.length }),
    key: (item: ReturnType<typeof serviceView>) => item.name,
  },
  {
    name: "endpoint",
    plural: "endpoints",
    siteWide: true,
    columns: ["name", "services", "labels", "url", "expires"],
    list: ({ node }, signal) => node(async (one) => (await one.listEndpoints(signal)).map(endpointView)),
    row: endpointRow,
    key: (item: ReturnType<typeof endpointView>) => item.name,
  },
  {
    name: "connection",
    plural: "connections",
    siteWide: false,
    columns: ["id", "service", "endpoint", "state", "mechanism", "encrypted", "path"],
    list: ({ node }, signal) => node(async (one) => (await one.listConnections(signal)).map(connectionView)),
    row: (item: ReturnType<typeof connectionView>) => ({ ...item, ...flat(item) }),
    key: (item: ReturnType<typeof connectionView>) => item.id,
  },
  {
    name: "attachment",
    plural: "attachments",
    siteWide: false,
    columns: ["id", "pod", "service", "endpoint", "interface", "addresses", "mechanism", "encrypted", "state", "heals"],
    list: ({ node }, signal) => node(async (one) => (await one.listAttachments(signal)).map(attachmentState)),
    row: (item: ReturnType<typeof attachmentState>) => ({ ...item, ...flat(item) }),
    key: (item: ReturnType<typeof attachmentState>) => item.id,
  },
  {
    name: "forwarder",
    plural: "forwarders",
    siteWide: false,
    columns: ["name", "services", "labels", "url", "expires"],
    list: ({ node }, signal) => node(async (one) => (await one.listForwarders(signal)).map(endpointView)),
    row: endpointRow,
    key: (item: ReturnType<typeof endpointView>) => item.name,
  },
  {
    name: "node",
    plural: "nodes",
    siteWide: true,
    columns: ["name", "site", "url", "forwarders"],
    list: ({ node }, signal) =>
      node(async (one) =>
        (await one.listNodes(signal)).map(({ name, site, nsmgrUrl, forwarders }) => ({ name, site, url: nsmgrUrl, forwarders })),
      ),
    row: (item: { name: string; site: string; url: string; forwarders: string[] }) => ({ ...item, forwarders: item.forwarders.join(",") }),
    key: (item: { name: string }) => item.name,
  },
  {
    name: "segment",
    plural: "segments",
    siteWide: true,
    columns: ["name", "layer", "prefixes", "sites", "mtu", "dnsDomain", "home", "version"],
    list: ({ registry }, signal) => registry(async ({ segments }) => (await segments.list(signal)).map(segmentView)),
    row: (item: SegmentView) => ({
      ...{ name: item.name, layer: item.layer, prefixes: item.prefixes.join(","), sites: item.sites.join(",") },
      ...{ mtu: item.mtu, dnsDomain: item.dnsDomain, home: item.home, version: item.version },
    }),
    key: (item: SegmentView) => item.name,
    describe: (item: SegmentView, { node }, signal) =>
      node(async (one) => {
        const [endpoints, counted] = await Promise.all([one.listEndpoints(signal), countersAt(one, item.name, signal)]);
        return describedSegment(item, rosterOf(endpoints, item.name), counted);
      }),
    text: (described: DescribedSegment) => describedText(described),
  },
  {
    name: "member",
    plural: "members",
    siteWide: true,
    of: "segment",
    columns: ["name", "node", "site", "addresses", "mac", "announces", "services", "misdeeds"],
    list: ({ node }, signal, of) =>
      node(async (one) => {
        const { members } = rosterOf(await one.listEndpoints(signal), of);
        if (members.length === 0) await mustBeThere(one, of, signal);
        return members;
      }),
    row: ({ addresses, announces, services, misdeeds, ...rest }: MemberView) => ({
      ...{ name: rest.name, node: rest.node, site: rest.site, mac: rest.mac },
      ...{ addresses: addresses.join(","), announces: announces.join(","), services: services.join(",") },
      misdeeds: misdeeds.map(({ does }) => does).join(","),
    }),
    key: (item: MemberView) => item.name,
  },
  {
    name: "block",
    plural: "blocks",
    siteWide: true,
    of: "segment",
    columns: ["prefix", "node", "registered", "since"],
    list: ({ registry }, signal, segment) =>
      registry(async ({ segments }) => (await segments.listBlocks({ segment }, signal)).map(blockView)),
    row: (item: BlockView) => ({ prefix: item.prefix, node: item.node, registered: item.registered ? "yes" : "no", since: item.since }),
    key: (item: BlockView) => item.prefix,
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
