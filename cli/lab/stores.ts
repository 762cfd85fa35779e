import { usage } from "../errors.js";

/** Where the registries of a lab keep their data. */
export const storeNames = ["lmdb", "memory", "etcd"] as const;

/** What every site of a lab has. */
export interface StoreWish {
  readonly store: (typeof storeNames)[number];
  /** At most one a node. */
  readonly registries: number;
  /** 0 where the store is another. */
  readonly etcdMembers: number;
}

export type EtcdName = `etcd-${number}`;

export function isEtcd(program: string): program is EtcdName {
  return program.startsWith("etcd-");
}

/** One etcd process. */
export interface EtcdPlan {
  /** No other member of its site has it. */
  readonly name: EtcdName;
  readonly node: string;
  /** At the node's address, for who shows a certificate. */
  readonly clientPort: number;
  readonly peerPort: number;
  /** At the node's loopback. */
  readonly metricsPort: number;
}

const memberCounts = ["1", "3", "5"];
const firstPort = 2379;
/** Between two members on one node. */
const portStep = 10;

/** What `lab up` was told; the numbers are text as it came. Throws for what makes no sense together. */
export function parseStores(told: {
  readonly store: StoreWish["store"];
  readonly registries?: string;
  readonly etcdMembers?: string;
}): StoreWish {
  const { store, registries = "1", etcdMembers } = told;
  if (store !== "etcd" && etcdMembers !== undefined) throw usage("--etcd-members needs --store etcd");
  if (!memberCounts.includes(etcdMembers ?? "1"))
    throw usage(
      `--etcd-members takes ${memberCounts.join(", ")} (an even number survives no more than one less would), got "${etcdMembers}"`,
    );
  if (!/^[1-9]$/.test(registries)) throw usage(`--registries takes 1..9, got "${registries}"`);
  if (store !== "etcd" && registries !== "1")
    throw usage("--registries needs --store etcd: registries that keep their data themselves share nothing");
  return { store, registries: Number(registries), etcdMembers: store === "etcd" ? Number(etcdMembers ?? "1") : 0 };
}

/** The members of a site's etcd, on its nodes in turn. */
export function placeEtcd(nodes: readonly string[], members: number): EtcdPlan[] {
  return Array.from({ length: members }, (_, at) => {
    const port = firstPort + portStep * Math.floor(at / nodes.length);
    return {
      ...{ name: `etcd-${at + 1}` as const, node: nodes[at % nodes.length] ?? "" },
      ...{ clientPort: port, peerPort: port + 1, metricsPort: port + 2 },
    };
  });
}

/** So that each begins with another one: the list, from the one at `start` on, and around. */
export function rotated<T>(list: readonly T[], start: number): T[] {
  return list.map((_, at) => list[(at + start) % list.length] as T);
}
