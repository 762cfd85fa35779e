/** What a message from outside may hold. Generous for every real mesh, small enough that none can harm. */
export const limits = {
  /** One message, in bytes. */
  message: 1 << 20,
  /** What a client accepts as an answer: lists of a busy node are long. */
  answer: 64 << 20,
  pathSegments: 64,
  preferences: 32,
  /** Ids and names of connections, hops, services, endpoints, interfaces. */
  name: 256,
  token: 8192,
  traceState: 512,
  url: 2048,
  mapEntries: 128,
  mapKey: 256,
  mapValue: 8192,
  /** Addresses, routes, neighbours, prefixes: each list of an IP context. */
  ipEntries: 4096,
  ipText: 128,
  dnsConfigs: 64,
  dnsEntries: 64,
  services: 256,
  matches: 256,
  routes: 256,
  cidrs: 16,
  sites: 256,
  segments: 4096,
  /** Of one segment on one node. */
  members: 65_536,
  /** Of a segment's policy, and ports of one of its rules. */
  memberRules: 256,
  memberPorts: 64,
  portText: 16,
} as const;
