import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Lab, Requested } from "./lab.js";
import { bare } from "./ping.js";
import { listenerArgs, type Probe, proberArgs, type Reached } from "./probe.js";
import { until } from "./until.js";

const places = { a: "paris-1", b: "paris-2", c: "tokyo-1" } as const;
type Pod = keyof typeof places;
// The last would like to be more than it is.
const labels: Readonly<Record<Pod, readonly string[]>> = {
  a: ["--label", "role=hmi"],
  b: ["--label", "role=plc"],
  c: ["--pod-label", "role=plc", "--label", "role=hmi"],
};
const names = Object.keys(places) as Pod[];
const device = "cell0";
const ports = [502, 503, 161];

/** In a lab with the pods a, b and c on paris-1, paris-2 and tokyo-1: a segment of its own with a policy, from its making to its end. */
export async function holdsMembersToPolicy(lab: Lab, layer: "l2" | "l3", prefix: string): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "isthmus-policy-"));
  const listeners = names.map((pod) => lab.spawn(`pod-${pod}`, process.execPath, ...listenerArgs(ports)));
  const joined = new Map<Pod, Requested>();
  const apply = async (policy: string) => {
    const file = join(folder, "cell.yaml");
    const segment = [`kind: Segment`, `name: cell`, `layer: ${layer}`, `prefixes: [${prefix}]`, `sites: [paris, tokyo]`, policy];
    await writeFile(file, segment.join("\n"));
    return lab.ctl("apply", "-f", file);
  };
  const tries = async (from: Pod, to: Pod, ...words: string[]): Promise<string> => {
    const host = bare(joined.get(to)?.addresses[0] ?? "");
    const probes = words.map((word): Probe => ({ protocol: word.slice(0, 3) as Probe["protocol"], port: Number(word.slice(4)), host }));
    const found = JSON.parse(await lab.exec(`pod-${from}`, process.execPath, ...proberArgs(probes))) as Reached[];
    return found.join(" ");
  };
  const soon = (what: string, is: string, from: Pod, to: Pod, ...words: string[]) =>
    until(`${what}: ${from} to ${to}`, 10_000, async () => (await tries(from, to, ...words)) === is);
  try {
    await Promise.all(listeners.map((listener) => listener.printed(/listening/)));
    assert.match(
      await apply("policy: [{ from: { role: hmi }, to: { role: plc }, ports: [502/tcp, 161/udp] }]"),
      /with 1 rule between members/,
    );
    assert.deepEqual((await lab.json<{ policy: string[] }>("describe", "segment", "cell")).policy, [
      "role=hmi -> role=plc: 502/tcp, 161/udp",
    ]);
    await until("tokyo-1 knows the segment", 5_000, async () => (await lab.ctl("--node", "tokyo-1", "get", "services")).includes("cell"));
    const join = (pod: Pod) => lab.request(places[pod], "cell", pod, "--interface", device, ...labels[pod]);
    await Promise.all(names.map(async (pod) => void joined.set(pod, await join(pod))));
    const devices = await Promise.all(names.map((pod) => lab.ifindex(pod, device)));

    const plcs = ["b", "c"] as const;
    await Promise.all(plcs.map((to) => soon("what is allowed passes", "yes yes no", "a", to, "tcp 502", "udp 161", "tcp 503")));
    const refused = [tries("b", "a", "tcp 502", "udp 161"), tries("c", "a", "tcp 502", "udp 161"), tries("b", "c", "tcp 502", "udp 161")];
    assert.deepEqual(await Promise.all(refused), ["no no", "no no", "no no"]);

    await apply("policy: [{ from: { role: hmi }, to: { role: plc }, ports: [503/tcp] }, { from: { role: plc }, to: { role: hmi } }]");
    const changed = plcs.flatMap((plc) => [
      soon("the other port passes, and the first does not", "no no yes", "a", plc, "tcp 502", "udp 161", "tcp 503"),
      soon("the other way passes", "yes yes", plc, "a", "tcp 502", "udp 161"),
    ]);
    await Promise.all([...changed, tries("b", "c", "tcp 503").then((found) => assert.equal(found, "no"))]);

    await apply("");
    await soon("without a policy all passes", "yes yes yes", "b", "c", "tcp 502", "udp 161", "tcp 503");
    assert.deepEqual(await Promise.all(names.map((pod) => lab.ifindex(pod, device))), devices, "the members were left alone");
  } finally {
    for (const listener of listeners) await listener[Symbol.asyncDispose]();
    await Promise.all([...joined].map(([pod, { id }]) => lab.close(places[pod], id)));
    await lab.tryCtl("delete", "segment", "cell", "--force");
    await rm(folder, { recursive: true, force: true });
  }
}
