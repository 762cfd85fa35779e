import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Socket } from "node:net";
import { silent } from "../../core/log.js";
import type { SegmentMember } from "../../core/segment/membership.js";
import { framed, frames } from "../../forwarder/dns/frames.js";
import { openResolver, type Resolver, type ResolverLimits, Zone } from "../../forwarder/dns/resolver.js";
import type { Netns } from "../../kernel/model.js";
import { createNetns, netnsPath, removeNetns } from "../../kernel/netns.js";
import { systemClock } from "../../program/clock.js";
import { check, Running } from "../lib/command.js";
import { answerTo, decoded, lines, member, question } from "../lib/dns.js";
import { inside } from "../lib/tunnel.js";
import { until } from "../lib/until.js";

const [segment, pod, other] = ["kc-dns-seg", "kc-dns-pod", "kc-dns-other"];
const names = [segment, pod, other];

/** As a segment has it: a port a pod, whose addresses it knows, and the resolver's addresses: one on lo, one on every port. */
async function wire(name: string, host: number): Promise<void> {
  const port = `port${host}`;
  // Numbered as no device of this process's own namespace is.
  await inside(
    netnsPath(segment),
    `ip link add ${port} index ${40_000 + host} type veth peer name eth0 netns ${name}; ip link set ${port} up`,
  );
  await inside(
    netnsPath(name),
    `ip link set eth0 up; ip addr add 10.60.0.${host}/32 dev eth0; ip addr add fd60::${host}/128 dev eth0 nodad`,
  );
  const [here, there] = [mac(segment, port), mac(name, "eth0")];
  await inside(
    netnsPath(segment),
    `ip addr add fe80::1/64 dev ${port} nodad; ip route add 10.60.0.${host}/32 dev ${port}; ip route add fd60::${host}/128 dev ${port};
     ip neigh replace 10.60.0.${host} lladdr ${there} dev ${port}; ip neigh replace fd60::${host} lladdr ${there} dev ${port}`,
  );
  await inside(
    netnsPath(name),
    `ip route add 10.60.0.0/16 via 169.254.1.1 dev eth0 onlink; ip neigh replace 169.254.1.1 lladdr ${here} dev eth0;
     ip route add 169.254.1.1 dev eth0; ip neigh replace fe80::1 lladdr ${here} dev eth0; ip addr add fe80::${host}/64 dev eth0 nodad`,
  );
}

function mac(netns: string, device: string): string {
  const [link] = JSON.parse(execFileSync("ip", ["-n", netns, "-j", "link", "show", device], { encoding: "utf8" })) as { address: string }[];
  return link?.address ?? "";
}

/** What Node's own resolver, c-ares, gets in a namespace: names in order, or the code of what went wrong. */
async function lookUp(name: string, type: string, server = "169.254.1.1", where = pod): Promise<unknown> {
  const code = `const { Resolver } = require("node:dns").promises; const [server, name, type] = process.argv.slice(1);
    const resolver = new Resolver({ timeout: 3000, tries: 2 }); resolver.setServers([server]);
    resolver.resolve(name, type).catch((error) => error.code).then((found) => console.log(JSON.stringify(found)));`;
  return JSON.parse(await check("nsenter", [`--net=${netnsPath(where)}`, "--", process.execPath, "-e", code, server, name, type]));
}

/** What comes back to a socket in a namespace that takes packets of the server's address only; "nothing" after a second. */
async function send(message: Buffer, server: string, source: string, where = pod): Promise<string> {
  const code = `const [hex, server, source] = process.argv.slice(1);
    const socket = require("node:dgram").createSocket(server.includes(":") ? "udp6" : "udp4");
    const end = (text) => { console.log(text); socket.close(); clearTimeout(late); };
    const late = setTimeout(() => end("nothing"), 1000);
    socket.on("message", (bytes) => end(bytes.toString("hex")));
    socket.bind(0, source, () => socket.connect(53, server, () => socket.send(Buffer.from(hex, "hex"))));`;
  const args = [`--net=${netnsPath(where)}`, "--", process.execPath, "-e", code, message.toString("hex"), server, source];
  return (await check("nsenter", args)).trim();
}

/** Another resolver on this machine's loopback, which knows `example.org` and, over TCP only, what is large. */
async function upstream(): Promise<{ readonly at: string; readonly asked: string[] } & AsyncDisposable> {
  const asked: string[] = [];
  const answers = (bytes: Buffer, transport: string) => {
    const [asking] = decoded(bytes).questions ?? [];
    asked.push(`${transport} ${asking?.name}`);
    const name = asking?.name ?? "";
    if (!name.startsWith("large.")) return answerTo(bytes, [{ type: "A", name, ttl: 60, data: "198.51.100.1" }]);
    if (transport === "udp") return answerTo(bytes, [], 0x0200);
    return answerTo(
      bytes,
      Array.from({ length: 100 }, (_, at) => ({ type: "A" as const, name, ttl: 60, data: `198.51.100.${at}` })),
    );
  };
  const serve = async (socket: Socket) => {
    for await (const bytes of frames(socket)) socket.write(framed(answers(bytes, "tcp")));
  };
  const server = createServer((socket) => void serve(socket.on("error", () => {}))).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const udp = createSocket("udp4");
  udp.on("message", (bytes, from) => udp.send(answers(bytes, "udp"), from.port, from.address));
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  return {
    at: `127.0.0.1:${port}`,
    asked,
    [Symbol.asyncDispose]: async () => {
      udp.close();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

describe("a segment's resolver", function () {
  this.timeout(30_000);
  let members: SegmentMember[] = [];
  let netns: Netns;
  const camera = member("camera", { addresses: ["10.60.0.5", "fd60::5"] });
  const many = Array.from({ length: 200 }, (_, at) => member(`web-${at}`, { addresses: [`10.60.9.${at}`], services: ["http:80/tcp"] }));

  function open(upstreams: readonly string[] = [], limits: Partial<ResolverLimits> = {}): Promise<Resolver> {
    const zone = () => new Zone({ domain: "plant.mesh", segment: "factory", members, prefixes: ["10.60.0.0/16"] });
    const addresses = [{ address: "169.254.1.1" }, { address: "fe80::1" }];
    return openResolver({ netns, addresses, zone, upstreams, limits, clock: systemClock, log: silent });
  }

  before(async () => {
    for (const name of names) removeNetns(name);
    netns = createNetns(segment);
    for (const name of names.slice(1)) createNetns(name);
    await inside(netns.path, "ip link set lo up; ip addr add 169.254.1.1/32 dev lo; ip addr add fd60::1/128 dev lo nodad");
    await wire(pod, 5);
    await wire(other, 6);
  });

  beforeEach(() => {
    members = [camera, ...many];
  });

  after(() => {
    for (const name of names) removeNetns(name);
  });

  it("answers a pod's own resolver", async () => {
    await using _resolver = await open();
    assert.deepEqual(await lookUp("camera.factory.plant.mesh", "A"), ["10.60.0.5"]);
    assert.deepEqual(await lookUp("camera.factory.plant.mesh", "AAAA"), ["fd60::5"]);
    assert.deepEqual(await lookUp("5.0.60.10.in-addr.arpa", "PTR"), ["camera.factory.plant.mesh"]);
    assert.equal(await lookUp("nobody.factory.plant.mesh", "A"), "ENOTFOUND");
    assert.equal(await lookUp("camera.factory.plant.mesh", "TXT"), "ENODATA");
  });

  it("gives over TCP what is too large for a packet, as a client asks by itself", async () => {
    await using resolver = await open();
    const found = (await lookUp("_http._tcp.factory.plant.mesh", "SRV")) as { name: string; port: number }[];
    assert.equal(found.length, 200);
    assert.ok(found.some(({ name, port }) => name === "web-7.factory.plant.mesh" && port === 80));
    const { truncated, queries } = resolver.stats();
    assert.deepEqual([truncated, queries], [1, 2]);
  });

  it("answers out of the address that was asked, whatever the pod asks from and whichever port it is on", async () => {
    await using _resolver = await open();
    const message = question("camera.factory.plant.mesh");
    for (const [where, host] of [
      [pod, 5],
      [other, 6],
    ] as const)
      for (const [server, source] of [
        ["169.254.1.1", `10.60.0.${host}`],
        ["fe80::1%eth0", `fd60::${host}`],
        ["fe80::1%eth0", `fe80::${host}%eth0`],
      ] as const) {
        const told = decoded(Buffer.from(await send(message, server, source, where), "hex"));
        assert.deepEqual(lines(told.answers), ["camera.factory.plant.mesh A 10.60.0.5"], `${where}: ${server} from ${source}`);
      }
  });

  it("answers on a port that comes later, at that address only", async () => {
    await using resolver = await open();
    const late = createNetns("kc-dns-late");
    try {
      await wire("kc-dns-late", 7);
      await inside(late.path, `ip route add fd60::1/128 via fe80::1 dev eth0`);
      assert.notEqual(await send(question("camera.factory.plant.mesh"), "fe80::1%eth0", "fd60::7", "kc-dns-late"), "nothing");
      const before = resolver.stats().queries;
      assert.equal(await send(question("camera.factory.plant.mesh"), "fd60::1", "fd60::7", "kc-dns-late"), "nothing");
      assert.equal(resolver.stats().queries, before);
    } finally {
      removeNetns("kc-dns-late");
    }
  });

  it("answers over TCP from a link-local address too", async () => {
    await using resolver = await open();
    const code = `const socket = require("node:net").connect({ host: "fe80::1%eth0", port: 53, localAddress: "fe80::5%eth0" });
      socket.end(Buffer.from(process.argv[1], "hex")); socket.on("data", (bytes) => console.log(bytes.toString("hex")));`;
    const message = framed(question("camera.factory.plant.mesh")).toString("hex");
    const hex = await check("nsenter", [`--net=${netnsPath(pod)}`, "--", process.execPath, "-e", code, message]);
    assert.deepEqual(lines(decoded(Buffer.from(hex.trim(), "hex").subarray(2)).answers), ["camera.factory.plant.mesh A 10.60.0.5"]);
    assert.equal(resolver.stats().own, 1);
  });

  it("forgets a member at once, and how it was answered within a second", async () => {
    await using _resolver = await open();
    assert.deepEqual(await lookUp("camera.factory.plant.mesh", "A"), ["10.60.0.5"]);
    members = [];
    assert.equal(await lookUp("camera.factory.plant.mesh", "A"), "ENOTFOUND");
  });

  it("asks others from the node's own namespace, over UDP and TCP, and never about its own names", async () => {
    await using others = await upstream();
    await using resolver = await open(["127.0.0.1:1", others.at]);
    assert.deepEqual(await lookUp("example.org", "A"), ["198.51.100.1"]);
    assert.equal(((await lookUp("large.example.org", "A")) as string[]).length, 100);
    assert.equal(await lookUp("nobody.factory.plant.mesh", "A"), "ENOTFOUND");
    assert.deepEqual(others.asked, ["udp example.org", "udp large.example.org", "tcp large.example.org"]);
    assert.deepEqual([resolver.stats().forwarded, resolver.stats().outstanding], [3, 0]);
  });

  it("says so where nobody else is to be asked, or nobody is there", async () => {
    for (const upstreams of [[], ["127.0.0.1:1", "[::1]:1"]]) {
      await using resolver = await open(upstreams);
      const told = decoded(Buffer.from(await send(question("example.org"), "169.254.1.1", "10.60.0.5"), "hex"));
      assert.equal(told.rcode, "SERVFAIL");
      assert.equal(resolver.stats().failed, 1);
    }
  });

  it("goes on after what is no question", async () => {
    await using resolver = await open();
    assert.equal(await send(question("camera.factory.plant.mesh").subarray(0, 20), "169.254.1.1", "10.60.0.5"), "nothing");
    assert.equal(resolver.stats().malformed, 1);
    assert.notEqual(await send(question("camera.factory.plant.mesh"), "169.254.1.1", "10.60.0.5"), "nothing");
  });

  it("keeps places for others from a client that opens connections", async () => {
    await using _resolver = await open([], { connections: 8 });
    const code = `let ended = 0; const sockets = [];
      const closed = () => { if (++ended === 8) for (const one of [console.log("8 were hung up on"), ...sockets]) one?.destroy(); };
      for (let at = 0; at < 12; at++) sockets.push(require("node:net").connect(53, "169.254.1.1").on("close", closed));`;
    assert.match(await check("nsenter", [`--net=${netnsPath(pod)}`, "--", process.execPath, "-e", code]), /8 were hung up on/);
  });

  it("lets its namespace go when it is closed, also with connections open", async () => {
    const alone = createNetns("kc-dns-alone");
    await inside(alone.path, "ip link set lo up; ip addr add 169.254.1.1/32 dev lo");
    await inside(netnsPath(segment), "ip link add p0 type veth peer name p0 netns kc-dns-alone");
    const there = async () => /^p0@/m.test(await inside(netnsPath(segment), "ip -br link"));
    const zone = () => new Zone({ domain: "plant.mesh", segment: "factory", members });
    const parts = { netns: alone, addresses: [{ address: "169.254.1.1" }], zone, upstreams: [], clock: systemClock, log: silent };
    const resolver = await openResolver(parts);
    const code = `require("node:net").connect(53, "169.254.1.1")
      .on("connect", () => console.log("open")).on("close", () => console.log("closed"))`;
    await using client = new Running("nsenter", [`--net=${alone.path}`, "--", process.execPath, "-e", code]);
    await client.printed(/open/);
    removeNetns("kc-dns-alone");
    assert.equal(await there(), true);
    await resolver[Symbol.asyncDispose]();
    assert.match((await client.done).stdout, /closed/);
    await until("the namespace is gone, and its device with it", 5_000, async () => !(await there()));
  });

  it("says which address is not there, and closes what it had opened", async () => {
    const parts = { netns, zone: () => new Zone({ domain: "a", segment: "b", members }), upstreams: [], clock: systemClock, log: silent };
    await assert.rejects(openResolver({ ...parts, addresses: [{ address: "169.254.1.1" }, { address: "10.99.0.1" }] }), {
      code: "kernel",
      message: /no udp socket can listen at 10\.99\.0\.1 port 53 in \/run\/netns\/kc-dns-seg: EADDRNOTAVAIL/,
    });
    await assert.rejects(openResolver({ ...parts, addresses: [{ address: "fe80::1", device: "none" }] }), { code: "not-found" });
    await assert.rejects(openResolver({ ...parts, addresses: [], upstreams: ["nine.nine.nine.nine"] }), { code: "invalid" });
    await using again = await open();
    assert.equal(again.stats().queries, 0);
  });
});
