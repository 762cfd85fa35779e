import assert from "node:assert/strict";
import { RESELECT_REQUESTED } from "../../../core/states.js";
import { asked, World } from "./world.js";

const localPair = `
ip link add ispc-c1 mtu 9000 type veth peer name nsm0 address 02:18:b8:4c:67:30 mtu 9000 netns /run/netns/client
ip link set ispc-c1 alias isthmus:c1:client up
ip -n client link set nsm0 up
ip link add ispe-c1 mtu 9000 type veth peer name nsm0 address 02:98:fd:08:88:c7 mtu 9000 netns /run/netns/server
ip link set ispe-c1 alias isthmus:c1:endpoint up
ip -n server link set nsm0 up
ip -n client address add 172.16.1.1/32 dev nsm0
ip -n server address add 172.16.1.0/32 dev nsm0
ip -n client neighbour replace 172.16.1.0 lladdr 02:98:fd:08:88:c7 dev nsm0 nud permanent
ip -n server neighbour replace 172.16.1.1 lladdr 02:18:b8:4c:67:30 dev nsm0 nud permanent
ip -n client route add 172.16.1.0/32 dev nsm0 proto 105
ip -n server route add 172.16.1.1/32 dev nsm0 proto 105
tc filter replace dev ispc-c1 ingress bpf direct-action redirect peer ispe-c1
tc filter replace dev ispe-c1 ingress bpf direct-action redirect peer ispc-c1`.trim();

const tunnelClient = `
ip link add ispc-c1 mtu 1370 type veth peer name nsm0 address 02:18:b8:4c:67:30 mtu 1370 netns /run/netns/client
ip link set ispc-c1 alias isthmus:c1:client up
ip -n client link set nsm0 up
ip link add iste-c1 mtu 1370 type vxlan id VNI1 local tunnel1 dstport 4789 nolearning udpcsum
ip link set iste-c1 alias isthmus:c1:endpoint up
bridge fdb append 00:00:00:00:00:00 dev iste-c1 dst tunnel2 vni VNI2
ip -n client address add 172.16.1.1/32 dev nsm0
ip -n client neighbour replace 172.16.1.0 lladdr 02:98:fd:08:88:c7 dev nsm0 nud permanent
ip -n client route add 172.16.1.0/32 dev nsm0 proto 105
tc filter replace dev ispc-c1 ingress bpf direct-action redirect device iste-c1
nft add element inet isthmus sources6 { tunnel2 . VNI1 }
tc filter replace dev iste-c1 ingress bpf direct-action redirect peer ispc-c1`.trim();

describe("forwarder: connecting", () => {
  it("joins two pods of its node by two redirects, and takes all away again", async () => {
    await using world = await World.pretend();
    const { machine } = world.node(1);
    await world.serve(1, machine.pods.add("server"));
    const empty = machine.text();
    machine.done();
    const conn = await world.request(1, asked(machine.pods.add("client")));
    world.name(conn, "c");
    assert.equal(world.readable(machine.done()), localPair);
    assert.equal(conn.mechanism?.parameters.name, "nsm0");
    assert.equal(conn.context?.MTU, 9000);
    assert.equal((await world.request(1, conn)).id, conn.id);
    assert.equal(machine.done(), "", "a refresh touches nothing");
    await world.close(1, conn);
    assert.equal(machine.text(), empty);
    assert.deepEqual(world.closed, ["nse c2"]);
    assert.deepEqual(world.node(1).disk.keys("connection/"), []);
  });

  it("joins pods of two nodes through the node tunnel; the side that answers knows the peer before it answers", async () => {
    await using world = await World.pretend(2);
    const [one, two] = [world.node(1).machine, world.node(2).machine];
    await world.serve(2, two.pods.add("server"));
    for (const machine of [one, two]) machine.done();
    const conn = await world.request(1, asked(one.pods.add("client")));
    world.name(conn, "c");
    const [peer, ...rest] = world.readable(one.done()).split("\n");
    assert.equal(peer, "wg set wg1 peer KEY2 allowed-ips tunnel2/128 endpoint 192.0.2.2:51820 persistent-keepalive 25");
    assert.equal(rest.filter((line) => !/\bwg1\b/.test(line)).join("\n"), tunnelClient);
    assert.equal(world.readable(two.done()).split("\n")[0], "wg set wg2 peer KEY1 allowed-ips tunnel1/128");
    const metrics = conn.path?.pathSegments.map((segment) => segment.metrics["isthmus.client_mechanism"]);
    assert.deepEqual(metrics, [undefined, "node-tunnel", "kernel", undefined]);
    assert.equal(conn.context?.MTU, 1370);
  });

  it("shrinks to what the way carries, on both nodes", async () => {
    await using world = await World.pretend(2);
    for (const { machine } of world.nodes) machine.pathMtu = 1340;
    await world.serve(2, world.node(2).machine.pods.add("server"));
    const conn = await world.request(1, asked(world.node(1).machine.pods.add("client")));
    assert.equal(conn.context?.MTU, 1270);
    for (const { machine } of world.nodes) {
      await machine.until(() => /type veth .* mtu 1270 /.test(machine.text()) && /mtu 1270 type vxlan/.test(machine.text()));
      // A packet of 1280 with VXLAN around it has to pass, if only in pieces.
      assert.match(machine.text(), /route add \S+ dev isw-\S+ proto 105 mtu 1350/);
    }
  });

  it("moves to another endpoint without a touch on the client's interface", async () => {
    await using world = await World.pretend(2);
    const [one, two] = [world.node(1).machine, world.node(2).machine];
    await world.serve(1, one.pods.add("near"), { name: "near" });
    const conn = await world.request(1, asked(one.pods.add("client")));
    world.name(conn, "c");
    await world.serve(2, two.pods.add("far"), { name: "far" });
    await world.known(1, "far");
    one.done();
    const moved = await world.request(1, { ...conn, state: RESELECT_REQUESTED });
    assert.equal(moved.networkServiceEndpointName, "far");
    assert.deepEqual(
      world
        .readable(one.done())
        .split("\n")
        .filter((line) => /c1|nsm0/.test(line)),
      [
        "ip link set ispc-c1 alias isthmus:c1:client mtu 1370 up",
        "ip -n client link set nsm0 address 02:18:b8:4c:67:30 mtu 1370 up",
        "ip link add iste-c1 mtu 1370 type vxlan id VNI1 local tunnel1 dstport 4789 nolearning udpcsum",
        "ip link set iste-c1 alias isthmus:c1:endpoint up",
        "bridge fdb append 00:00:00:00:00:00 dev iste-c1 dst tunnel2 vni VNI2",
        "tc filter replace dev ispc-c1 ingress bpf direct-action redirect device iste-c1",
        "tc filter replace dev iste-c1 ingress bpf direct-action redirect peer ispc-c1",
        "ip link delete ispe-c1",
      ],
    );
  });

  it("asks for plain text only where that is allowed, and tells the neighbours with payload ETHERNET", async () => {
    await using world = await World.pretend(2);
    const [one, two] = [world.node(1).machine, world.node(2).machine];
    await world.serve(2, two.pods.add("server"), { payload: "ETHERNET" });
    const conn = await world.request(1, asked(one.pods.add("client"), { mechanism: "vxlan" }));
    world.name(conn, "c");
    const vxlan = /ip -n NODE link add isve-c1 mtu 1450 netns MESH type vxlan id (\d+) local 192.0.2.1 dstport 4789/.exec(
      world.readable(one.text()),
    );
    assert.equal(Number(vxlan?.[1]) % 2, 0, "even, as the asking address is the lower one");
    assert.match(world.readable(two.text()), new RegExp(`isvc-c2 mtu 1450 netns MESH type vxlan id ${vxlan?.[1]} local 192.0.2.2`));
    assert.deepEqual([one.announced, two.announced], [["nsm0 172.16.1.1"], ["nsm0 172.16.1.0"]]);
  });
});
