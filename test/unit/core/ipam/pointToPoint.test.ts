import assert from "node:assert/strict";
import fc from "fast-check";
import type { Connection } from "../../../../api/gen/connection/connection.js";
import { type Call, chain } from "../../../../core/chain.js";
import { ipContextOf, withIpContext } from "../../../../core/context.js";
import { MeshError } from "../../../../core/error.js";
import { type Lease, type LeaseStore, pointToPointIpam } from "../../../../core/ipam/pointToPoint.js";
import { undoOnFailure } from "../../../../core/rollback.js";
import { callOf, connection, failOnce, failsWith, tailOf } from "../../../lib/chainKit.js";

/** Leases on a disk that a test can read, and break. */
class ListedLeases implements LeaseStore {
  readonly disk = new Map<string, Lease>();
  broken = false;

  async load(): Promise<Lease[]> {
    this.#check();
    return structuredClone([...this.disk.values()]);
  }

  async put(lease: Lease): Promise<void> {
    await Promise.resolve();
    this.#check();
    this.disk.set(lease.id, structuredClone(lease));
  }

  async remove(id: string): Promise<void> {
    await Promise.resolve();
    this.#check();
    this.disk.delete(id);
  }

  /** `c1: 172.16.1.1-172.16.1.0` */
  get lines(): string[] {
    return [...this.disk.values()].map(
      ({ id, pairs }) => `${id}: ${pairs.map(({ source, destination }) => `${source}-${destination}`).join(" ")}`,
    );
  }

  #check(): void {
    if (this.broken) throw new MeshError("kernel", "disk full");
  }
}

function endpointWith(cidrs: string[], leases = new ListedLeases(), answer?: Parameters<typeof tailOf>[0]) {
  const ipam = pointToPointIpam({ cidrs, leases });
  const handler = chain([ipam], tailOf(answer));
  return { ipam, leases, handler, request: (conn: Connection, part?: Partial<Call>) => handler.request(callOf(conn, part)) };
}

/** The client's connection `id`, as the endpoint sees it; `own` is the endpoint's own id for it. */
const from = (id: string, own = `e-${id}`, client = "client") => connection({}, [`${client}/${id}`, `nse/${own}`], 1);

/** `172.16.1.1/32 > 172.16.1.0/32`, the client's addresses first. */
function addresses(conn: Connection): string {
  const { srcIpAddrs, dstIpAddrs } = ipContextOf(conn);
  return `${srcIpAddrs.join(" ")} > ${dstIpAddrs.join(" ")}`;
}

describe("pointToPointIpam", () => {
  it("gives the endpoint the lowest free address and the client the next, with routes between them", async () => {
    const { request } = endpointWith(["172.16.1.77/24"]);
    const answer = await request(from("c1"));
    assert.equal(addresses(answer), "172.16.1.1/32 > 172.16.1.0/32");
    assert.deepEqual(ipContextOf(answer).srcRoutes, [{ prefix: "172.16.1.0/32", nextHop: "" }]);
    assert.deepEqual(ipContextOf(answer).dstRoutes, [{ prefix: "172.16.1.1/32", nextHop: "" }]);
    assert.equal(addresses(await request(from("c2"))), "172.16.1.3/32 > 172.16.1.2/32");
  });

  it("gives addresses of both families", async () => {
    const { request, leases } = endpointWith(["2001:db8:1::/112", "172.16.1.0/24"]);
    const answer = await request(from("c1"));
    assert.equal(addresses(answer), "172.16.1.1/32 2001:db8:1::1/128 > 172.16.1.0/32 2001:db8:1::/128");
    assert.equal(ipContextOf(answer).srcRoutes.length, 2);
    assert.deepEqual(leases.lines, ["c1: 172.16.1.1-172.16.1.0 2001:db8:1::1-2001:db8:1::"]);
  });

  it("gives the same again in a refresh, also from another way round", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    const answer = await request(from("c1"));
    assert.equal(addresses(await request(answer, { established: true })), "172.16.1.1/32 > 172.16.1.0/32");
    assert.equal(ipContextOf(await request(answer)).srcRoutes.length, 1);
    assert.equal(addresses(await request(from("c1", "e-other-way"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("takes up the addresses that a client has from before, where they are free", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    const had = (id: string) => withIpContext(from(id), { srcIpAddrs: ["172.16.1.101/32"], dstIpAddrs: ["172.16.1.100/32"] });
    assert.equal(addresses(await request(had("c1"))), "172.16.1.101/32 > 172.16.1.100/32");
    assert.equal(addresses(await request(had("c2"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("drops the addresses and routes of another endpoint, and keeps other routes", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    const before = withIpContext(from("c1"), {
      srcIpAddrs: ["10.9.9.1/32"],
      dstIpAddrs: ["10.9.9.0/32"],
      srcRoutes: [
        { prefix: "10.9.9.0/32", nextHop: "" },
        { prefix: "192.168.0.0/16", nextHop: "" },
      ],
    });
    const answer = await request(before);
    assert.equal(addresses(answer), "172.16.1.1/32 > 172.16.1.0/32");
    assert.deepEqual(
      ipContextOf(answer).srcRoutes.map(({ prefix }) => prefix),
      ["192.168.0.0/16", "172.16.1.0/32"],
    );
  });

  it("leaves addresses of a family alone that it does not give", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    const answer = await request(withIpContext(from("c1"), { srcIpAddrs: ["2001:db8::5/128"] }));
    assert.equal(addresses(answer), "2001:db8::5/128 172.16.1.1/32 > 172.16.1.0/32");
  });

  it("gives nothing excluded, and other addresses when those given are excluded by now", async () => {
    const { request, leases } = endpointWith(["172.16.1.0/24"]);
    const excluding = (conn: Connection, ...excludedPrefixes: string[]) => withIpContext(conn, { excludedPrefixes });
    const answer = await request(excluding(from("c1"), "172.16.1.0/30"));
    assert.equal(addresses(answer), "172.16.1.5/32 > 172.16.1.4/32");
    const moved = await request(excluding(answer, "172.16.1.0/29"), { established: true });
    assert.equal(addresses(moved), "172.16.1.9/32 > 172.16.1.8/32");
    assert.deepEqual(leases.lines, ["c1: 172.16.1.9-172.16.1.8"]);
    assert.equal(addresses(await request(from("c2"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("frees at the close, and only what this connection holds", async () => {
    const { request, handler, leases } = endpointWith(["172.16.1.0/31"]);
    const answer = await request(from("c1"));
    await handler.close(callOf(from("c1", "e-never-had-it")));
    assert.equal(leases.lines.length, 1);
    await handler.close(callOf(answer));
    assert.deepEqual(leases.lines, []);
    assert.equal(addresses(await request(from("c2"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("keeps the addresses when a client came another way round before what it left is closed", async () => {
    const { request, handler, leases } = endpointWith(["172.16.1.0/24"]);
    const old = await request(from("c1", "e-old"));
    await request(from("c1", "e-new"));
    await handler.close(callOf(old));
    assert.deepEqual(leases.lines, ["c1: 172.16.1.1-172.16.1.0"]);
    await handler.close(callOf(from("c1", "e-new")));
    assert.deepEqual(leases.lines, []);
  });

  it("frees at a close also when what is behind it fails to", async () => {
    const leases = new ListedLeases();
    const tail = tailOf();
    tail.close = () => Promise.reject(new MeshError("unreachable", "no route"));
    const handler = chain([pointToPointIpam({ cidrs: ["172.16.1.0/24"], leases })], tail);
    const answer = await handler.request(callOf(from("c1")));
    await failsWith("unreachable", "no route", handler.close(callOf(answer)));
    assert.deepEqual(leases.lines, []);
  });

  it("gives back what a first request got that failed, and keeps what a refresh has", async () => {
    let fail = true;
    const { request, leases } = endpointWith(["172.16.1.0/24"], new ListedLeases(), (call) => {
      if (fail) throw new MeshError("kernel", "refused");
      return call.connection;
    });
    await failsWith("kernel", "refused", request(from("c1")));
    assert.deepEqual(leases.lines, []);
    fail = false;
    const answer = await request(from("c1"));
    fail = true;
    await failsWith("kernel", "refused", request(answer, { established: true }));
    assert.deepEqual(leases.lines, ["c1: 172.16.1.1-172.16.1.0"]);
  });

  it("keeps the lease of the way that works when another way round fails", async () => {
    const leases = new ListedLeases();
    const fail = failOnce("back");
    const ipam = pointToPointIpam({ cidrs: ["172.16.1.0/24"], leases });
    const handler = chain([undoOnFailure(fail), undoOnFailure(ipam)]);
    await handler.request(callOf(from("c1", "e-works")));
    fail.arm();
    await failsWith("kernel", "refused", handler.request(callOf(from("c1", "e-fails"))));
    assert.deepEqual(leases.lines, ["c1: 172.16.1.1-172.16.1.0"]);
    assert.deepEqual(leases.disk.get("c1")?.connections, ["e-works"]);
  });

  it("refuses a second client with the same id", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    await request(from("c1"));
    await failsWith("exists", '"c1" is in use by "client"; choose another', request(from("c1", "e-2", "other-client")));
  });

  it("refuses addresses and prefixes in a request that are none", async () => {
    const { request, leases } = endpointWith(["172.16.1.0/24"]);
    await failsWith("invalid", '"nonsense"', request(withIpContext(from("c1"), { srcIpAddrs: ["nonsense"] })));
    await failsWith("invalid", '"10.0.0.0/99"', request(withIpContext(from("c1"), { excludedPrefixes: ["10.0.0.0/99"] })));
    assert.deepEqual(leases.lines, []);
    assert.equal(addresses(await request(from("c1"))), "172.16.1.1/32 > 172.16.1.0/32");
  });
});

describe("pointToPointIpam, used up", () => {
  it("gives a /31 to one connection", async () => {
    const { request } = endpointWith(["172.16.1.100/31"]);
    assert.equal(addresses(await request(from("c1"))), "172.16.1.101/32 > 172.16.1.100/32");
    await failsWith("exhausted", "172.16.1.100/31 is used up: 2 of 2 addresses are in use and a connection needs two", request(from("c2")));
  });

  it("gives a /32 to none", async () => {
    const { request, leases } = endpointWith(["172.16.1.1/32"]);
    await failsWith("exhausted", "172.16.1.1/32 is used up: 0 of 1 addresses are in use", request(from("c1")));
    assert.deepEqual(leases.lines, []);
  });

  it("says so when all that is left is excluded", async () => {
    const { request } = endpointWith(["172.16.1.0/24"]);
    await request(from("c1"));
    const excluding = withIpContext(from("c2"), { excludedPrefixes: ["172.16.0.0/12", "10.0.0.0/8"] });
    await failsWith(
      "exhausted",
      "2 of 256 addresses are in use, a connection needs two, and the rest is excluded by 172.16.0.0/12, 10.0.0.0/8",
      request(excluding),
    );
  });

  it("takes nothing of one family where the other has nothing left", async () => {
    const { request } = endpointWith(["172.16.1.0/24", "2001:db8::/127"]);
    await request(from("c1"));
    for (let i = 0; i < 3; i++) await failsWith("exhausted", "2001:db8::/127 is used up: 2 of 2", request(from("c2")));
    await request(from("c1", "e-again"));
    const { request: later, ipam } = endpointWith(["172.16.1.0/30", "2001:db8::/127"]);
    await later(from("c1"));
    await failsWith("exhausted", "2001:db8::/127", later(from("c2")));
    await ipam.free("e-c1");
    assert.equal(addresses(await later(from("c3"))), "172.16.1.1/32 2001:db8::1/128 > 172.16.1.0/32 2001:db8::/128");
  });

  it("refuses ranges that are none, and no range at all", () => {
    const make = (...cidrs: string[]) => pointToPointIpam({ cidrs, leases: new ListedLeases() });
    assert.throws(() => make(), { code: "invalid" });
    assert.throws(() => make("172.16.1.0/33"), { code: "invalid" });
  });
});

describe("pointToPointIpam, on disk", () => {
  it("answers only when the lease is on disk", async () => {
    const leases = new ListedLeases();
    const seen: number[] = [];
    const { request } = endpointWith(["172.16.1.0/24"], leases, (call) => {
      seen.push(leases.disk.size);
      return call.connection;
    });
    await request(from("c1"));
    assert.deepEqual(seen, [1]);
  });

  it("gives nothing when the disk takes nothing, and then the same addresses to somebody else", async () => {
    const { request, leases, handler } = endpointWith(["172.16.1.0/31"]);
    await request(from("c0")).then((conn) => handler.close(callOf(conn)));
    leases.broken = true;
    await failsWith("kernel", "disk full", request(from("c1")));
    leases.broken = false;
    assert.equal(addresses(await request(from("c2"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("keeps an address that it could not take off the disk", async () => {
    const { request, leases, handler } = endpointWith(["172.16.1.0/31"]);
    const answer = await request(from("c1"));
    leases.broken = true;
    await failsWith("kernel", "disk full", handler.close(callOf(answer)));
    leases.broken = false;
    await failsWith("exhausted", "2 of 2", request(from("c2")));
    await handler.close(callOf(answer));
    await request(from("c2"));
  });

  it("goes on after a restart, for clients that come back and those that never do", async () => {
    const before = endpointWith(["172.16.1.0/29"]);
    for (const id of ["c1", "c2", "c3"]) await before.request(from(id));
    const { request, handler, ipam, leases } = endpointWith(["172.16.1.0/29"], before.leases);
    assert.equal(addresses(await request(from("c4"))), "172.16.1.7/32 > 172.16.1.6/32");
    assert.equal(addresses(await request(from("c2"))), "172.16.1.3/32 > 172.16.1.2/32");
    await handler.close(callOf(from("c1")));
    await ipam.free("e-c3");
    await ipam.free("e-unknown");
    assert.deepEqual(
      (await ipam.leases()).map(({ id }) => id),
      ["c2", "c4"],
    );
    assert.deepEqual([...leases.disk.keys()], ["c2", "c4"]);
    assert.equal(addresses(await request(from("c5"))), "172.16.1.1/32 > 172.16.1.0/32");
  });

  it("forgets leases of another range after it was changed", async () => {
    const before = endpointWith(["172.16.1.0/24", "2001:db8::/112"]);
    await before.request(from("c1"));
    const { request, leases } = endpointWith(["10.0.0.0/24", "2001:db8::/112"], before.leases);
    assert.equal(addresses(await request(from("c1"))), "10.0.0.1/32 2001:db8::1/128 > 10.0.0.0/32 2001:db8::/128");
    const other = endpointWith(["192.168.0.0/24"], leases);
    assert.deepEqual(await other.ipam.leases(), []);
    assert.deepEqual(leases.lines, []);
  });

  it("tries to read the disk again when it could not", async () => {
    const leases = new ListedLeases();
    leases.broken = true;
    const { request } = endpointWith(["172.16.1.0/24"], leases);
    await failsWith("kernel", "disk full", request(from("c1")));
    leases.broken = false;
    await request(from("c1"));
  });

  it("never gives an address twice, with requests, closes, failures and restarts in any order", async () => {
    const step = fc.record({ do: fc.constantFrom("request", "close", "refuse", "crash", "restart"), client: fc.nat(6), way: fc.nat(1) });
    const property = fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const leases = new ListedLeases();
      const live = new Map<string, string[]>();
      let now = endpointWith(["10.0.0.0/29"], leases);
      for (const { do: what, client, way } of steps) {
        const conn = from(`c${client}`, `e-${client}-${way}`);
        if (what === "restart") now = endpointWith(["10.0.0.0/29"], leases);
        leases.broken = what === "refuse";
        try {
          if (what === "close") {
            await now.handler.close(callOf(conn));
            live.delete(conn.id);
          } else if (what !== "restart") {
            const { srcIpAddrs, dstIpAddrs } = ipContextOf(await now.request(conn));
            live.set(conn.id, [...srcIpAddrs, ...dstIpAddrs]);
          }
        } catch (error) {
          assert.ok(error instanceof MeshError);
        }
        leases.broken = false;
        if (what === "crash") now = endpointWith(["10.0.0.0/29"], leases);
        const owners = new Map<string, string>();
        for (const [own, held] of live)
          for (const address of held) {
            const owner = own.split("-")[1] ?? "";
            assert.equal(owners.get(address) ?? owner, owner, `${address} has two owners`);
            owners.set(address, owner);
          }
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });
});
