import type { Graph, Link, Place, Tunnel } from "./graph.js";

/** The graph as a Mermaid flowchart: a box a site, with its nodes and the pods on them; between nodes the tunnels of segments. */
export function mermaid({ sites, members, tunnels, connections }: Graph): string {
  const names = new Names();
  const ends = connections.flatMap(({ client, endpoint }) => [client, endpoint]);
  const boxes = sites.flatMap((site) => {
    const here = (place: Place) => place.site === site.name;
    return [
      `  subgraph ${names.of("site", site.name)}[${quoted(site.name || "unknown site")}]`,
      ...site.nodes.map((node) => `    ${names.node({ site: site.name, node })}[${quoted(node)}]`),
      ...members
        .filter(here)
        .map((member) => `    ${names.of("member", member.segment, member.name)}([${quoted(member.name, ...member.addresses)}])`),
      ...unique(ends.filter(here).map((pod) => `    ${names.pod(pod)}([${quoted(pod.name)}])`)),
      "  end",
    ];
  });
  const held = [
    ...members.map((member) => [names.of("member", member.segment, member.name), member] as const),
    ...ends.map((pod) => [names.pod(pod), pod] as const),
  ];
  return [
    "flowchart LR",
    ...boxes,
    ...unique(held.flatMap(([id, place]) => (place.node === "" ? [] : `  ${id} --- ${names.node(place)}`))),
    ...tunnels.map((tunnel) => tunnelLine(tunnel, names)),
    ...connections.map((link) => linkLine(link, names)),
  ].join("\n");
}

function tunnelLine({ between: [a, b], segments }: Tunnel, names: Names): string {
  return `  ${names.node(a)} <==>|${quoted(segments.join(", "))}| ${names.node(b)}`;
}

function linkLine({ client, endpoint, service, mechanism, encrypted, state }: Link, names: Names): string {
  const carried = mechanism === "kernel" ? "within a node" : `${mechanism}, ${encrypted ? "encrypted" : "NOT encrypted"}`;
  const arrow = state === "UP" ? "-->" : "-.->";
  return `  ${names.pod(client)} ${arrow}|${quoted(service, carried)}| ${names.pod(endpoint)}`;
}

/** Short ids for what has a name that Mermaid may not take. */
class Names {
  readonly #ids = new Map<string, string>();

  of(kind: string, ...words: readonly string[]): string {
    const key = JSON.stringify([kind, ...words]);
    const id = this.#ids.get(key) ?? `${kind}${this.#ids.size + 1}`;
    this.#ids.set(key, id);
    return id;
  }

  node({ site, node }: Place): string {
    return this.of("node", site, node);
  }

  pod({ site, node, name }: Place & { readonly name: string }): string {
    return this.of("pod", site, node, name);
  }
}

/** Names come from other sites too: what could be markup is written by its number. */
function quoted(...lines: readonly string[]): string {
  const safe = (line: string) => line.replace(/[^A-Za-z0-9 ._:/@,-]/gu, (character) => `#${character.codePointAt(0)};`);
  return `"${lines.map(safe).join("<br/>")}"`;
}

function unique(lines: readonly string[]): string[] {
  return [...new Set(lines)];
}
