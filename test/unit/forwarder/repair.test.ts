import assert from "node:assert/strict";
import type { Port } from "../../../kernel/model.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { until } from "../../lib/until.js";
import { asked, type Pretended, World } from "./world.js";

async function connected(): Promise<{ world: World<Pretended>; clock: FakeClock; port: Port; text: string }> {
  const clock = new FakeClock();
  const world = await World.pretend(1, { clock });
  const { machine } = world.node(1);
  await world.serve(1, machine.pods.add("server"));
  const conn = await world.request(1, asked(machine.pods.add("client")));
  world.name(conn, "c");
  const port = machine.kernelMachine.objects().find((object) => object.kind === "port" && object.alias.endsWith(":client"));
  assert.ok(port?.kind === "port");
  await clock.advance(2000);
  machine.done();
  return { world, clock, port, text: machine.text() };
}

describe("forwarder: repairing", () => {
  it("puts back what a pod took from its end", async () => {
    const { world, clock, port, text } = await connected();
    await using _ = world;
    const { machine } = world.node(1);
    machine.kernelMachine.meddle(port, { mtu: 1300 }, ["address", "route", "neighbour"]);
    await clock.advance(200);
    assert.equal(machine.text(), text);
    assert.deepEqual(world.readable(machine.done()).split("\n"), [
      "ip link set ispc-c1 alias isthmus:c1:client mtu 9000 up",
      "ip -n client link set nsm0 address 02:18:b8:4c:67:30 mtu 9000 up",
      "ip -n client address add 172.16.1.1/32 dev nsm0",
      "ip -n client neighbour replace 172.16.1.0 lladdr 02:98:fd:08:88:c7 dev nsm0 nud permanent",
      "ip -n client route add 172.16.1.0/32 dev nsm0 proto 105",
    ]);
  });

  it("looks once more, a second after its own change, as a pod may have answered that", async () => {
    const { world, clock, port, text } = await connected();
    await using _ = world;
    const { machine } = world.node(1);
    machine.kernelMachine.removeDevice(port.name);
    await clock.advance(200);
    machine.kernelMachine.meddle(port, {}, ["address"]);
    await clock.advance(200);
    assert.notEqual(machine.text(), text);
    await clock.advance(1000);
    assert.equal(machine.text(), text);
  });

  it("makes a port again that was deleted, and the redirect that led to it", async () => {
    const { world, clock, port, text } = await connected();
    await using _ = world;
    const { machine } = world.node(1);
    machine.kernelMachine.removeDevice(port.name);
    await clock.advance(200);
    assert.equal(machine.text(), text);
    assert.match(world.readable(machine.done()), /tc filter replace dev ispe-c1 ingress bpf direct-action redirect peer ispc-c1/);
  });

  it("closes the connection towards both sides when its pod is gone", async () => {
    const { world, clock, port } = await connected();
    await using _ = world;
    const { machine, forwarder } = world.node(1);
    machine.pods.remove(port.pod);
    await clock.advance(200);
    // Signing the close runs beside the event loop.
    await until("the ports are gone", 2_000, () => !/\bisp[ce]-/.test(machine.text()));
    assert.deepEqual(await world.watched(1), []);
    assert.deepEqual(forwarder.wanted.list(), []);
    assert.deepEqual(world.closed, ["nse c2"]);
  });
});
