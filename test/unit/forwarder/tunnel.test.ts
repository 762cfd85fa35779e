import assert from "node:assert/strict";
import { silent } from "../../../core/log.js";
import { noMeter } from "../../../core/meter.js";
import { Dataplane } from "../../../forwarder/dataplane.js";
import { tunnelAddress } from "../../../forwarder/tunnel/address.js";
import { NodeTunnel } from "../../../forwarder/tunnel/tunnel.js";
import { FakeMachine } from "../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../kernel/fake.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { Disk } from "../../lib/mesh/disk.js";

const { signal } = new AbortController();
const peer = { address: "fd00::2", publicKey: "PEER" };

class Bench implements AsyncDisposable {
  readonly clock: FakeClock;
  readonly kernel: FakeKernel;
  readonly disk: Disk;
  readonly dataplane: Dataplane;
  readonly tunnel: NodeTunnel;
  inUse = false;
  lastHandshake = 0;
  endpoint: string | undefined;
  reaches = true;
  /** When echoes were sent. */
  readonly echoes: number[] = [];
  /** What a begun session does. */
  onPeer: () => void = () => {};

  constructor(parts: { clock?: FakeClock; machine?: FakeMachine; disk?: Disk } = {}) {
    this.clock = parts.clock ?? new FakeClock();
    this.kernel = new FakeKernel(parts.machine);
    this.disk = parts.disk ?? new Disk();
    const { clock, kernel, disk } = this;
    const apply = kernel.apply.bind(kernel);
    kernel.apply = async (steps) => {
      const failures = await apply(steps);
      if (steps.some((step) => step.op !== "delete" && step.value.kind === "wireguard-peer")) this.onPeer();
      return failures;
    };
    this.dataplane = new Dataplane({ kernel, clock, log: silent, exists: () => true, onPodGone: () => {} });
    const status = async () => [{ publicKey: "PEER", endpoint: this.endpoint, lastHandshake: this.lastHandshake, rxBytes: 0, txBytes: 0 }];
    this.tunnel = new NodeTunnel({
      ...{ store: disk, dataplane: this.dataplane, clock, log: silent, meter: noMeter, inUse: () => this.inUse, onPeerChange: () => {} },
      node: {
        device: "wg",
        alias: "isthmus:tunnel",
        listenPort: 51820,
        privateKeyFile: "/k",
        publicKey: "OWN",
        address: "fd00::1",
        mtu: 1440,
        vxlanPort: 4789,
      },
      link: { status, pathMtu: async () => 1400, reaches: async () => this.echoes.push(clock.now()) > 0 && this.reaches },
    });
  }

  async start(): Promise<this> {
    this.tunnel.load();
    await this.dataplane.start();
    this.kernel.commands.splice(0);
    return this;
  }

  /** Time passes, with the passes of the data plane in it. */
  async pass(ms: number): Promise<void> {
    const step = Math.min(ms, 50);
    for (let passed = 0; passed < ms; passed += step) {
      await this.clock.advance(step);
      for (let turn = 0; turn < 10; turn++) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.tunnel[Symbol.dispose]();
    await this.dataplane[Symbol.asyncDispose]();
  }
}

describe("forwarder: node tunnel", () => {
  it("waits for the handshake, no longer than 6 s, and says what to look at", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use({ ...peer, endpoint: "192.0.2.2:51820" }, signal);
    const failed = assert.rejects(bench.tunnel.ready(peer.address, signal), /no WireGuard handshake with 192\.0\.2\.2:51820 in 6 s/);
    await bench.clock.advance(6200);
    await failed;
    bench.onPeer = () => {};
    const ready = bench.tunnel.ready(peer.address, signal);
    await bench.clock.advance(20);
    bench.lastHandshake = bench.clock.now();
    await bench.clock.advance(100);
    await ready;
    assert.equal(bench.tunnel.peerMtu(peer.address), 1400);
    assert.match(bench.kernel.text(), /ip route add fd00::2\/128 dev wg proto 105 mtu 1400/);
  });

  it("is refused to a forwarder with this one's SPIFFE id", async () => {
    await using bench = await new Bench().start();
    await assert.rejects(
      bench.tunnel.use({ ...peer, address: "fd00::1" }, signal),
      /its forwarder has this one's SPIFFE id: each needs one of its own/,
    );
  });

  it("begins anew with a peer that does not know us any more", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use({ ...peer, endpoint: "192.0.2.2:51820" }, signal);
    bench.lastHandshake = bench.clock.now();
    bench.reaches = false;
    bench.onPeer = () => {
      bench.lastHandshake = bench.clock.now();
    };
    bench.kernel.commands.splice(0);
    await bench.tunnel.ready(peer.address, signal);
    assert.deepEqual(
      bench.kernel.commands.filter((line) => line.startsWith("wg")),
      ["wg set wg peer PEER remove", "wg set wg peer PEER allowed-ips fd00::2/128 endpoint 192.0.2.2:51820 persistent-keepalive 25"],
    );
  });

  describe("on the answering side", () => {
    const endpoint = "192.0.2.2:51820";
    const begun = (bench: Bench) => bench.kernel.commands.filter((line) => line.includes(`endpoint ${endpoint}`)).length;

    it("waits for the peer, and has on disk where it was seen as soon as it has come", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      void bench.tunnel.expect(peer.address, { endpoint, begins: false });
      await bench.pass(500);
      bench.lastHandshake = bench.clock.now();
      bench.endpoint = "198.51.100.7:40000";
      await bench.pass(200);
      assert.equal(begun(bench), 0);
      assert.match(JSON.stringify([...bench.disk.entries("peer/")]), /198\.51\.100\.7:40000/);
      assert.equal(bench.tunnel.peerMtu(peer.address), 1400);
    });

    it("goes to a peer that does not come for a second", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      void bench.tunnel.expect(peer.address, { endpoint, begins: false });
      await bench.pass(900);
      assert.equal(begun(bench), 0);
      await bench.pass(200);
      assert.ok(begun(bench) > 0);
    });

    it("goes there at once where it is to begin, again and again until the peer has its answer", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      void bench.tunnel.expect(peer.address, { endpoint, begins: true });
      await bench.pass(10);
      const first = begun(bench);
      assert.ok(first > 0);
      await bench.pass(400);
      assert.ok(begun(bench) >= first + 2);
      bench.onPeer = () => {
        bench.lastHandshake = bench.clock.now();
      };
      await bench.pass(500);
      const last = begun(bench);
      await bench.pass(60_000);
      assert.equal(begun(bench), last, "it is met");
    });

    it("gives up after 13 s, and tries again for the next request", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      void bench.tunnel.expect(peer.address, { endpoint, begins: true });
      await bench.pass(13_000);
      const last = begun(bench);
      await bench.pass(60_000);
      assert.equal(begun(bench), last);
      void bench.tunnel.expect(peer.address, { endpoint, begins: true });
      await bench.pass(100);
      assert.ok(begun(bench) > last);
    });

    it("goes nowhere for a peer that nobody reaches, however long it takes", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      void bench.tunnel.expect(peer.address, { endpoint: undefined, begins: false });
      await bench.pass(20_000);
      assert.doesNotMatch(bench.kernel.commands.join("\n"), /endpoint|remove/);
    });

    it("does not believe an old session of a peer that has forgotten it", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      bench.lastHandshake = bench.clock.now() - 60_000;
      bench.reaches = false;
      void bench.tunnel.expect(peer.address, { endpoint, begins: true });
      await bench.pass(100);
      assert.equal(bench.echoes.length, 3);
      assert.ok(begun(bench) > 0);
    });

    it("leaves a good session alone, and looks at it once in 30 s, however many requests there are", async () => {
      await using bench = await new Bench().start();
      await bench.tunnel.use(peer, signal);
      bench.lastHandshake = bench.clock.now() - 60_000;
      for (let turn = 0; turn < 5; turn++) {
        void bench.tunnel.expect(peer.address, { endpoint, begins: true });
        await bench.pass(1_000);
      }
      assert.deepEqual([bench.echoes.length, begun(bench)], [1, 0]);
      await bench.pass(30_000);
      void bench.tunnel.expect(peer.address, { endpoint, begins: true });
      await bench.pass(1_000);
      assert.equal(bench.echoes.length, 2);
    });
  });

  it("waits for a peer that begins, and says what to look at", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use(peer, signal);
    const failed = assert.rejects(
      bench.tunnel.ready(peer.address, signal),
      /the other end begins the tunnel .*, and did not in 6 s; does UDP reach/,
    );
    await bench.clock.advance(6200);
    await failed;
  });

  it("keeps a peer for 3 minutes after its last use", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use(peer, signal);
    bench.inUse = true;
    await bench.clock.advance(600_000);
    bench.inUse = false;
    await bench.clock.advance(170_000);
    assert.match(bench.kernel.text(), /peer PEER/);
    await bench.clock.advance(30_000);
    assert.doesNotMatch(bench.kernel.text(), /PEER|fd00::2/);
    assert.deepEqual(bench.disk.keys("peer/"), []);
  });

  it("remembers where a peer was last seen, over a restart", async () => {
    const machine = new FakeMachine();
    await using bench = await new Bench({ machine }).start();
    await bench.tunnel.use(peer, signal);
    assert.match(bench.kernel.text(), /peer PEER allowed-ips fd00::2\/128$/m);
    bench.lastHandshake = bench.clock.now();
    bench.endpoint = "198.51.100.7:40000";
    await bench.clock.advance(10_000);
    await bench[Symbol.asyncDispose]();
    machine.removeDevice("wg");
    await using again = await new Bench({ machine, disk: bench.disk }).start();
    assert.match(again.kernel.text(), /peer PEER allowed-ips fd00::2\/128 endpoint 198\.51\.100\.7:40000 persistent-keepalive 25/);
  });

  it("puts another key in the place of the old one, at the same address", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use(peer, signal);
    bench.kernel.commands.splice(0);
    await bench.tunnel.use({ ...peer, publicKey: "NEW" }, signal);
    assert.deepEqual(bench.kernel.commands, ["wg set wg peer NEW allowed-ips fd00::2/128", "wg set wg peer PEER remove"]);
  });

  it("keeps a peer that is in use from losing its key to another that only says so, and gives it to one that proves it", async () => {
    await using bench = await new Bench().start();
    const other = { ...peer, address: "fd00::3" };
    await bench.tunnel.use(peer, signal);
    bench.inUse = true;
    await assert.rejects(bench.tunnel.use(other, signal), {
      code: "denied",
      message: /fd00::3 says that it has the key of the node at fd00::2/,
    });
    await assert.rejects(bench.tunnel.use({ ...other, publicKey: "OWN" }, signal), { code: "invalid" });
    await bench.dataplane.settled("");
    assert.match(bench.kernel.text(), /peer PEER allowed-ips fd00::2\/128/);
    await bench.tunnel.use({ ...other, proven: true }, signal);
    assert.match(bench.kernel.text(), /peer PEER allowed-ips fd00::3\/128/);
    assert.doesNotMatch(bench.kernel.text(), /fd00::2/);
  });

  it("gives the key of a peer that nobody uses any more to the next who has it", async () => {
    await using bench = await new Bench().start();
    await bench.tunnel.use(peer, signal);
    await bench.tunnel.use({ ...peer, address: "fd00::3" }, signal);
    assert.match(bench.kernel.text(), /peer PEER allowed-ips fd00::3\/128/);
  });

  it("gives an address that follows from the identity alone", () => {
    const address = tunnelAddress("spiffe://paris/node/forwarder");
    assert.equal(address, tunnelAddress("spiffe://paris/node/forwarder"));
    assert.notEqual(address, tunnelAddress("spiffe://paris/other/forwarder"));
    assert.match(address, /^fd/);
  });
});
