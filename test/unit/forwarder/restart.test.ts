import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import { keptForm } from "../../../forwarder/keptForm.js";
import { asked, World } from "./world.js";

describe("forwarder: starting again", () => {
  it("adopts what the kernel holds without a step, and lists and closes the same connections", async () => {
    await using world = await World.pretend(2);
    const [one, two] = world.nodes;
    assert.ok(one && two);
    await world.serve(2, two.machine.pods.add("server"));
    const conn = await world.request(1, asked(one.machine.pods.add("client")));
    const before = one.machine.text();
    await one.stop();
    await one.start();
    assert.equal(one.machine.done(), "");
    assert.equal(one.machine.text(), before);
    const id = conn.path?.pathSegments[1]?.id;
    const known = await world.watched(1);
    assert.deepEqual(
      known.map((connection) => [connection.id, connection.mechanism?.type]),
      [[id, "KERNEL"]],
    );
    assert.equal((await world.request(1, conn)).id, conn.id);
    assert.equal(one.machine.done(), "");
    await world.close(1, conn);
    assert.equal(world.closed.length, 1);
    for (const { machine } of world.nodes) assert.doesNotMatch(machine.text(), /\bis[pt][ce]-/);
  });

  it("takes up a connection that an older version kept as JSON", async () => {
    await using world = await World.pretend();
    const node = world.node(1);
    await world.serve(1, node.machine.pods.add("server"));
    const conn = await world.request(1, asked(node.machine.pods.add("client")));
    await node.stop();
    for (const [key, kept] of node.disk.entries<{ connection: unknown }>("connection/"))
      await node.disk.put(key, { ...kept, connection: Connection.toJSON(keptForm.read(kept.connection)) });
    node.machine.done();
    await node.start();
    assert.equal(node.machine.done(), "");
    const [known] = await world.watched(1);
    assert.deepEqual([known?.id, known?.context?.ipContext], [conn.path?.pathSegments[1]?.id, conn.context?.ipContext]);
  });

  it("puts back what is missing and takes away what nobody wants", async () => {
    await using world = await World.pretend();
    const node = world.node(1);
    await world.serve(1, node.machine.pods.add("server"));
    const conns = await Promise.all(["a", "b"].map((id) => world.request(1, asked(node.machine.pods.add(id), { id }))));
    const [a, b] = conns.map((conn) => conn.path?.pathSegments[1]?.id ?? "");
    world.name(conns[0] ?? assert.fail(), "a");
    world.name(conns[1] ?? assert.fail(), "b");
    await node.stop();
    await node.disk.remove(`connection/${b}`);
    for (const object of node.machine.kernelMachine.objects()) {
      if (object.kind === "port" && object.alias === `isthmus:${a}:client`) node.machine.kernelMachine.removeDevice(object.name);
    }
    await node.start();
    const done = world.readable(node.machine.done());
    assert.match(done, /ip link add ispc-a1 /);
    assert.match(done, /tc filter replace dev ispe-a1 ingress bpf direct-action redirect peer ispc-a1/);
    assert.match(done, /ip link delete ispc-b1\nip link delete ispe-b1$|ip link delete ispe-b1\nip link delete ispc-b1$/);
  });
});
