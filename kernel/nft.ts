import ipaddr from "ipaddr.js";
import koffi from "koffi";
import { MeshError } from "../core/error.js";
import type { Netns, VxlanSource } from "./model.js";
import { within } from "./netns.js";
import { NftElements, type NftSet } from "./nftElements.js";
import type { VxlanFilter } from "./parts.js";

const OUTPUT_JSON = 1 << 4;
const table = "isthmus";
const chain = "input";
const sets = { ipv4: { table, set: "sources4" }, ipv6: { table, set: "sources6" } } as const;

/** What the filter threw away since the table was made, by reason. */
export interface FilterDrops {
  /** VXLAN of a source and VNI that nobody wants. */
  readonly unknown: number;
  /** VXLAN that did not come out of a tunnel. */
  readonly outside: number;
  /** IPv6 fragments, which could hide a VNI. */
  readonly fragments: number;
}

/** What the filter lets through. */
export interface FilterOptions {
  /** The UDP port of VXLAN in the mesh namespace; 4789 unless told. */
  readonly port?: number | undefined;
  /** "tunnel" also drops what comes from a device with a link layer (a pod's port, a LAN). "any" is for tests that have no tunnel. */
  readonly from?: "tunnel" | "any" | undefined;
}

/** The VXLAN filter of a mesh namespace, and what it dropped. */
export interface CountingVxlanFilter extends VxlanFilter, Disposable {
  drops(): FilterDrops;
}

/**
 * Opens the filter of the mesh namespace at path `mesh`: every VXLAN packet is dropped whose (outer source, VNI) is not in the set,
 * because a VXLAN device itself checks no sender. What an earlier process put into the set is kept.
 * Throws MeshError unsupported where libnftables or the kernel's nf_tables is missing.
 */
export function openVxlanFilter(mesh: string, options: FilterOptions = {}): CountingVxlanFilter {
  const nft = new Nft(mesh);
  const rules = ruleset(options.port ?? 4789, options.from ?? "tunnel");
  nft.run(rules);
  const elements = within(mesh, () => new NftElements());
  const right = elements.chain({ table, chain });
  return {
    mend: () => {
      if (elements.chain({ table, chain }).equals(right)) return;
      try {
        nft.run(rules);
      } catch {
        nft.run(`delete table inet ${table}\n${rules}`); // a chain of that name hangs elsewhere
      }
    },
    list: () => [sets.ipv4, sets.ipv6].flatMap((set) => elements.list(set)).map(sourceOf),
    has: (source) => elements.has(...elementOf(source)),
    add: (source) => elements.add(...elementOf(source)),
    remove: (source) => elements.remove(...elementOf(source)),
    drops: () => parseDrops(nft.run(`list counters table inet ${table}`)),
    [Symbol.dispose]: () => elements[Symbol.dispose](),
  };
}

/** The set is kept as it is; the chain is written anew, in the same transaction, so no packet meets a gap. */
function ruleset(port: number, from: "tunnel" | "any"): string {
  const outside = `udp dport ${port} meta iiftype ether counter name outside drop`;
  return `
table inet ${table} {
  set ${sets.ipv4.set} { typeof ip saddr . @th,96,24; }
  set ${sets.ipv6.set} { typeof ip6 saddr . @th,96,24; }
  counter unknown { }
  counter outside { }
  counter fragments { }
  chain ${chain} { type filter hook input priority raw; policy accept; }
}
flush chain inet ${table} ${chain}
table inet ${table} {
  chain ${chain} {
    exthdr frag exists counter name fragments drop
    ${from === "tunnel" ? outside : ""}
    udp dport ${port} ip saddr . @th,96,24 @${sets.ipv4.set} accept
    udp dport ${port} ip6 saddr . @th,96,24 @${sets.ipv6.set} accept
    udp dport ${port} counter name unknown drop
  }
}`;
}

/** The set that an address belongs to, and the key in it: the address, the VNI and a byte of padding. */
function elementOf({ source, vni }: VxlanSource): [set: NftSet, key: Buffer] {
  if (!ipaddr.isValid(source)) throw new MeshError("invalid", `the source of a VXLAN must be an IP address, got ${JSON.stringify(source)}`);
  if (!Number.isInteger(vni) || vni < 0 || vni >= 2 ** 24)
    throw new MeshError("invalid", `a VXLAN network identifier must be 0..16777215, got ${vni}`);
  const address = ipaddr.parse(source);
  return [sets[address.kind()], Buffer.from([...address.toByteArray(), vni >> 16, (vni >> 8) & 0xff, vni & 0xff, 0])];
}

function sourceOf(key: Buffer): VxlanSource {
  const end = key.length - 4;
  return { kind: "vxlan-source", source: ipaddr.fromByteArray([...key.subarray(0, end)]).toString(), vni: key.readUIntBE(end, 3) };
}

interface Listing {
  readonly nftables: readonly { readonly counter?: { readonly name: string; readonly packets: number } }[];
}

function parseDrops(json: string): FilterDrops {
  const counters = new Map(
    (JSON.parse(json) as Listing).nftables.flatMap(({ counter }) => (counter ? [[counter.name, counter.packets]] : [])),
  );
  const of = (name: string): number => counters.get(name) ?? 0;
  return { unknown: of("unknown"), outside: of("outside"), fragments: of("fragments") };
}

/** libnftables in one namespace. */
export class Nft {
  readonly #netns: string | Netns;
  readonly #lib: Library;

  constructor(netns: string | Netns) {
    this.#netns = netns;
    this.#lib = library();
  }

  /** Runs commands as one transaction; what they print is JSON. Throws MeshError kernel with nftables' own words. */
  run(command: string): string {
    const lib = this.#lib;
    return within(this.#netns, () => {
      const context = lib.create(0);
      try {
        lib.setFlags(context, OUTPUT_JSON);
        lib.bufferOutput(context);
        lib.bufferErrors(context);
        if (lib.run(context, command) === 0) return lib.output(context);
        throw new MeshError(
          "kernel",
          `nftables refused a change in ${typeof this.#netns === "string" ? this.#netns : this.#netns.path}: ${lib.errors(context).trim()}`,
        );
      } finally {
        lib.free(context);
      }
    });
  }
}

type Library = ReturnType<typeof load>;
let loaded: Library | undefined;

function library(): Library {
  loaded ??= load();
  return loaded;
}

function load() {
  try {
    const lib = koffi.load("libnftables.so.1");
    return {
      create: lib.func("void* nft_ctx_new(uint32)"),
      free: lib.func("void nft_ctx_free(void*)"),
      setFlags: lib.func("void nft_ctx_output_set_flags(void*, uint)"),
      bufferOutput: lib.func("int nft_ctx_buffer_output(void*)"),
      bufferErrors: lib.func("int nft_ctx_buffer_error(void*)"),
      run: lib.func("int nft_run_cmd_from_buffer(void*, const char*)"),
      output: lib.func("const char* nft_ctx_get_output_buffer(void*)"),
      errors: lib.func("const char* nft_ctx_get_error_buffer(void*)"),
    };
  } catch (cause) {
    throw new MeshError("unsupported", "libnftables.so.1 cannot be loaded; install it (Debian: apt-get install libnftables1)", { cause });
  }
}
