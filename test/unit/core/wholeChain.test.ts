import assert from "node:assert/strict";
import { withIpContext } from "../../../core/context.js";
import { MeshError } from "../../../core/error.js";
import { DOWN, RESELECT_REQUESTED, UP } from "../../../core/states.js";
import { Hops, lifetimeMs } from "../../lib/chainHops.js";
import { callOf, connection, deferred, failsWith, settled, unending } from "../../lib/chainKit.js";

const way = ["nsmgr-1", "forwarder-1", "nsmgr-2", "forwarder-2", "nse-1"];

/** Every program forgot everything, and nothing of ours waits for anything. */
async function nothingIsLeft(mesh: Hops): Promise<void> {
  await settled(10);
  assert.deepEqual(mesh.left, []);
  assert.equal(mesh.clock.pending, 0, "no timer is left");
}

describe("the whole chain", () => {
  it("joins a client to an endpoint of another node by a path of six", async () => {
    const mesh = new Hops();
    const conn = await mesh.request();
    assert.deepEqual(
      conn.path?.pathSegments.map(({ name }) => name),
      ["client", ...way],
    );
    assert.equal(new Set(conn.path?.pathSegments.map(({ id }) => id)).size, 6);
    assert.ok(conn.path?.pathSegments.every(({ token, name, expires }) => token === `token-of-${name}` && expires !== undefined));
    assert.deepEqual(conn.context?.ipContext?.srcIpAddrs, ["172.16.1.1/32"]);
    assert.equal(conn.networkServiceEndpointName, "nse-1");
    assert.equal(conn.id, "c1");
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    await mesh.client.handler.close(callOf(conn));
    await nothingIsLeft(mesh);
  });

  it("keeps it up for as long as the client is there, and no longer", async () => {
    const mesh = new Hops();
    await mesh.request();
    await mesh.clock.advance(5 * lifetimeMs);
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    mesh.client.begun.again = () => new Promise(() => {}); // the client has died
    await mesh.clock.advance(2 * lifetimeMs);
    await settled(10);
    assert.deepEqual(mesh.left, []);
  });

  for (const name of way)
    for (const when of ["failsIn", "failsBack"] as const) {
      const where = `${name}, ${when === "failsIn" ? "before it asked on" : "when all behind had succeeded"}`;

      it(`undoes a first request everywhere that failed at ${where}`, async () => {
        const mesh = new Hops();
        mesh.directory.forget("nse-2");
        mesh.hop(name)[when].arm();
        const error = await failsWith("kernel", "the kernel refused", mesh.request());
        assert.ok(error.hop?.startsWith(name.slice(0, 3)), error.hop);
        await nothingIsLeft(mesh);
        await mesh.client.handler.close(callOf(await mesh.request()));
        await nothingIsLeft(mesh);
      });

      it(`tears nothing down when a refresh fails at ${where}`, async () => {
        const mesh = new Hops();
        const conn = await mesh.request();
        mesh.hop(name)[when].arm();
        const refreshed = mesh.client.handler.request(callOf(conn));
        await failsWith("kernel", "the kernel refused", refreshed);
        assert.equal(mesh.held(...way), "1 1 1 1 1");
        const again = await mesh.client.handler.request(callOf(conn));
        assert.deepEqual(
          again.path?.pathSegments.map(({ id }) => id),
          conn.path?.pathSegments.map(({ id }) => id),
        );
        await mesh.client.handler.close(callOf(again));
        await nothingIsLeft(mesh);
      });
    }

  for (const name of way) {
    it(`undoes a request that is given up while it is at ${name}`, async () => {
      const mesh = new Hops();
      const patience = new AbortController();
      const inside = deferred();
      const gate = deferred();
      mesh.hop(name).onAnswer = async () => {
        inside.resolve();
        await gate.promise;
      };
      const request = mesh.request(patience.signal);
      await inside.promise;
      patience.abort();
      await failsWith("cancelled", "went away", request);
      gate.resolve();
      await nothingIsLeft(mesh);
    });

    it(`undoes a request that is given up in the moment when ${name} answers`, async () => {
      const mesh = new Hops();
      const patience = new AbortController();
      mesh.hop(name).onAnswer = async () => {
        queueMicrotask(() => queueMicrotask(() => patience.abort()));
      };
      await mesh.request(patience.signal).then(
        async (conn) => mesh.client.handler.close(callOf(conn)),
        () => {},
      );
      await nothingIsLeft(mesh);
    });
  }

  it("undoes a request at whatever moment it is given up", async () => {
    for (let turns = 0; turns < 280; turns += 13) {
      const mesh = new Hops();
      const patience = new AbortController();
      const request = mesh.request(patience.signal).then(
        async (conn) => mesh.client.handler.close(callOf(conn)),
        () => {},
      );
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      patience.abort();
      await request;
      await settled(6);
      assert.deepEqual(mesh.left, [], `given up after ${turns} turns`);
    }
  });
});

describe("the whole chain, with programs that forget", () => {
  it("adopts the path again in a refresh", async () => {
    const mesh = new Hops();
    const conn = await mesh.request();
    for (const name of way) mesh.hop(name).restart();
    const again = await mesh.client.handler.request(callOf(conn));
    assert.deepEqual(
      again.path?.pathSegments.map(({ name, id }) => [name, id]),
      conn.path?.pathSegments.map(({ name, id }) => [name, id]),
    );
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    await mesh.client.handler.close(callOf(again));
    await nothingIsLeft(mesh);
  });

  it("closes everywhere what all programs have forgotten", async () => {
    const mesh = new Hops();
    const conn = await mesh.request();
    for (const name of way) mesh.hop(name).restart();
    await mesh.client.handler.close(callOf(conn));
    await nothingIsLeft(mesh);
  });

  for (const name of way)
    it(`tears nothing down when ${name} has forgotten it and the refresh fails there`, async () => {
      const mesh = new Hops();
      const conn = await mesh.request();
      mesh.hop(name).restart();
      mesh.hop(name).failsBack.arm();
      await failsWith("kernel", "the kernel refused", mesh.client.handler.request(callOf(conn)));
      assert.equal(mesh.held(...way), "1 1 1 1 1");
      await mesh.client.handler.request(callOf(conn));
      assert.equal(mesh.held(...way), "1 1 1 1 1");
    });

  it("gives a client that forgot its connection a new one with the same address, and closes the old one", async () => {
    const mesh = new Hops();
    const ask = () => {
      const caller = { token: "t", expires: mesh.clock.now() + lifetimeMs };
      return mesh.hop("nsmgr-1").handler.request(callOf(connection({}, ["client/c1"]), { caller }));
    };
    const old = await ask();
    const anew = await ask();
    assert.notEqual(anew.path?.pathSegments[1]?.id, old.path?.pathSegments[1]?.id);
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    assert.deepEqual(anew.context?.ipContext?.srcIpAddrs, old.context?.ipContext?.srcIpAddrs);
    await mesh.hop("nsmgr-1").handler.close(callOf(anew));
    await nothingIsLeft(mesh);
  });
});

describe("the whole chain, reselecting", () => {
  const reselected = (mesh: Hops) =>
    mesh.client.begun.again("c1", (call) => ({ ...call, connection: { ...call.connection, state: RESELECT_REQUESTED } }), unending);

  it("moves to another endpoint with fresh ids behind the client's forwarder, whose own things stay", async () => {
    const mesh = new Hops();
    const before = await mesh.request();
    const kernel = [...mesh.hop("forwarder-1").kernel.held];
    const after = await reselected(mesh);
    await settled(10);
    assert.equal(after.networkServiceEndpointName, "nse-2");
    assert.equal(after.state, UP);
    const ids = (conn: typeof after) => conn.path?.pathSegments.map(({ id }) => id) ?? [];
    assert.deepEqual(ids(after).slice(0, 3), ids(before).slice(0, 3));
    assert.ok(
      ids(after)
        .slice(3)
        .every((id) => !ids(before).includes(id)),
    );
    assert.deepEqual([...mesh.hop("forwarder-1").kernel.held], kernel);
    assert.equal(mesh.held("nsmgr-2", "forwarder-2", "nse-1", "nse-2"), "1 1 0 1");
    await mesh.client.handler.close(callOf(after));
    await nothingIsLeft(mesh);
  });

  it("makes the connection anew at the same endpoint where that is the only one, with the same address", async () => {
    const mesh = new Hops();
    mesh.directory.forget("nse-2");
    const before = await mesh.request();
    const after = await reselected(mesh);
    await settled(10);
    assert.equal(after.networkServiceEndpointName, "nse-1");
    assert.deepEqual(after.context?.ipContext?.srcIpAddrs, before.context?.ipContext?.srcIpAddrs);
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    await mesh.client.handler.close(callOf(after));
    await nothingIsLeft(mesh);
  });

  for (const name of ["nsmgr-1", "forwarder-1", "nsmgr-2", "forwarder-2", "nse-2"])
    it(`leaves nothing new behind when the reselect fails at ${name}, and works the next time`, async () => {
      const mesh = new Hops();
      mesh.directory.endpoints.reverse();
      await mesh.request();
      for (const each of ["nse-1", "nse-2"]) if (name === "nse-2") mesh.hop(each).failsBack.arm();
      mesh.hop(name).failsBack.arm();
      if (name.endsWith("-2") && name !== "nse-2") mesh.directory.endpoints.length = 1;
      await failsWith("kernel", "the kernel refused", reselected(mesh));
      await settled(10);
      assert.equal(mesh.held("nsmgr-1", "forwarder-1"), "1 1", "the client's side is as it was");
      const after = await reselected(mesh);
      await settled(10);
      assert.equal(mesh.held("nsmgr-2", "forwarder-2"), "1 1");
      await mesh.client.handler.close(callOf(after));
      await nothingIsLeft(mesh);
    });

  it("heals by itself when the endpoint closes the connection", async () => {
    const mesh = new Hops();
    const conn = await mesh.request();
    await settled(10);
    const [served] = mesh.hop("nse-1").begun.list();
    mesh.directory.forget("nse-1");
    await mesh.hop("nse-1").begun.end(served?.id ?? "");
    await settled(30);
    assert.equal(mesh.client.begun.current("c1")?.networkServiceEndpointName, "nse-2");
    assert.equal(mesh.held("nsmgr-1", "forwarder-1", "nsmgr-2", "forwarder-2", "nse-1", "nse-2"), "1 1 1 1 0 1");
    await mesh.client.handler.close(callOf(conn));
    await nothingIsLeft(mesh);
  });

  it("heals by itself without a reselect when the programs of the other node come back without memory", async () => {
    const mesh = new Hops();
    const conn = await mesh.request();
    await settled(10);
    mesh.kill("nsmgr-2", "forwarder-2");
    await mesh.clock.advance(3000);
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    assert.equal(mesh.hop("nsmgr-1").monitor.list()[0]?.state, DOWN);
    mesh.start("nsmgr-2", "forwarder-2");
    await mesh.clock.advance(2000);
    await settled(10);
    assert.deepEqual(
      mesh.client.begun.current("c1")?.path?.pathSegments.map(({ id }) => id),
      conn.path?.pathSegments.map(({ id }) => id),
    );
    assert.equal(mesh.held(...way), "1 1 1 1 1");
    assert.equal(mesh.hop("nsmgr-2").begun.list().length, 1);
    assert.equal(mesh.hop("nsmgr-1").monitor.list()[0]?.state, UP);
    await mesh.client.handler.close(callOf(conn));
    await nothingIsLeft(mesh);
  });

  it("tells the client why it cannot, when its network namespace is gone", async () => {
    const mesh = new Hops();
    await mesh.request();
    await settled(10);
    const { handler } = mesh.hop("forwarder-1");
    mesh.hop("forwarder-1").handler = { ...handler, request: () => Promise.reject(new MeshError("netns-gone", "no such namespace")) };
    const [conn] = mesh.hop("nsmgr-1").monitor.list();
    assert.ok(conn);
    mesh.hop("nsmgr-1").monitor.update({ ...conn, state: DOWN });
    await settled(20);
    assert.deepEqual(mesh.gone, ["c1"]);
  });
});

describe("the whole chain, refusing", () => {
  it("leaves nothing behind after bad input, anywhere", async () => {
    const mesh = new Hops();
    await failsWith("not-found", 'did you mean "intranet"?', mesh.request(unending, { networkService: "intranett" }));
    await failsWith("no-endpoint", '"nse-9"', mesh.request(unending, { networkServiceEndpointName: "nse-9" }));
    const bad = withIpContext(await mesh.request(), { srcIpAddrs: ["nonsense"] });
    await mesh.client.handler.close(callOf(bad));
    await failsWith("invalid", '"nonsense"', mesh.request(unending, { context: bad.context }));
    await nothingIsLeft(mesh);
  });

  it("says which hop failed", async () => {
    const mesh = new Hops();
    mesh.dead.add("nsmgr-2");
    const error = await failsWith("unreachable", "tcp://nsmgr-2 does not answer", mesh.request());
    assert.equal(error.hop, "forwarder-1");
    await nothingIsLeft(mesh);
  });
});
