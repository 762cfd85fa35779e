import assert from "node:assert/strict";
import type { Connection } from "../../../api/gen/connection/connection.js";
import { PolicyRoute } from "../../../api/gen/connectioncontext/connectioncontext.js";
import { withIpContext } from "../../../core/context.js";
import { policyTable } from "../../../kernel/policyTable.js";
import { asked, type Pretended, World } from "./world.js";

const policy = (part: Partial<PolicyRoute>): PolicyRoute => ({ from: "", proto: "", dstPort: "", srcPort: "", routes: [], ...part });

const usual: readonly PolicyRoute[] = [
  policy({ from: "172.16.2.200/24", proto: "6", dstPort: "8000-8999", routes: [{ prefix: "10.3.0.0/16", nextHop: "172.16.1.7" }] }),
  policy({ from: "2001:db8::1/128", srcPort: "53" }),
  policy({
    proto: "17",
    routes: [
      { prefix: "10.4.0.9/16", nextHop: "" },
      { prefix: "2001:db8:4::/48", nextHop: "" },
    ],
  }),
];

/** One node with an endpoint that answers with policies, which may change. */
async function served(given: { policies: readonly PolicyRoute[]; parameters?: Record<string, string> }) {
  const world = await World.pretend();
  const { machine } = world.node(1);
  const [src, dst] = [
    ["172.16.1.1/32", "2001:db8:1::1/128"],
    ["172.16.1.0/32", "2001:db8:1::/128"],
  ];
  const change = (conn: Connection): Connection => {
    const parameters = { ...conn.mechanism?.parameters, ...given.parameters };
    const mechanism = { cls: "LOCAL", type: "KERNEL", parameters };
    return withIpContext({ ...conn, mechanism }, { policies: [...given.policies] });
  };
  await world.serve(1, machine.pods.add("server"), { src, dst, change });
  const empty = machine.text();
  return { world, machine, empty, client: machine.pods.add("client") };
}

/** With the numbers of tables as T0, T1 and so on, by the port's name. */
function readable(world: World<Pretended>, text: string): string[] {
  const port = /ispc-\w+/.exec(text)?.[0] ?? "";
  let out = text;
  for (let n = 0; n < 3; n++) out = out.replaceAll(String(policyTable(port, n)), `T${n}`);
  return world
    .readable(out)
    .split("\n")
    .filter((line) => /table T| rule |lladdr/.test(line) && line.includes("client"));
}

describe("forwarder: policy routes", () => {
  it("are a rule and a table of their own each, in the client's pod", async () => {
    const { world, machine, empty, client } = await served({ policies: usual });
    await using _ = world;
    const conn = await world.request(1, asked(client));
    assert.deepEqual(conn.context?.ipContext?.policies.map(PolicyRoute.toJSON), usual.map(PolicyRoute.toJSON));
    assert.deepEqual(
      readable(world, machine.text()).map((line) => line.replace(/lladdr \S+/, "lladdr MAC")),
      [
        "ip -4 -n client rule add pref 32763 ipproto 17 table T2 protocol 105",
        "ip -4 -n client rule add pref 32765 from 172.16.2.0/24 ipproto 6 dport 8000-8999 table T0 protocol 105",
        "ip -6 -n client rule add pref 32763 ipproto 17 table T2 protocol 105",
        "ip -6 -n client rule add pref 32764 from 2001:db8::1/128 sport 53-53 table T1 protocol 105",
        "ip -n client neighbour replace 172.16.1.0 lladdr MAC dev nsm0 nud permanent",
        "ip -n client neighbour replace 172.16.1.7 lladdr MAC dev nsm0 nud permanent",
        "ip -n client neighbour replace 2001:db8:1:: lladdr MAC dev nsm0 nud permanent",
        "ip -n client route add 10.3.0.0/16 via 172.16.1.7 dev nsm0 proto 105 onlink table T0",
        "ip -n client route add 10.4.0.0/16 via 172.16.1.0 dev nsm0 proto 105 onlink table T2",
        "ip -n client route add 2001:db8:4::/48 via 2001:db8:1:: dev nsm0 proto 105 onlink table T2",
        "ip -n client route add ::/0 via 2001:db8:1:: dev nsm0 proto 105 onlink table T1",
      ],
    );
    await world.close(1, conn);
    assert.equal(machine.text(), empty);
  });

  it("follow the endpoint when it changes its mind, and go with the last one", async () => {
    const given = { policies: usual };
    const { world, machine, client } = await served(given);
    await using _ = world;
    const conn = await world.request(1, asked(client));
    machine.done();
    given.policies = [policy({ proto: "6" })];
    await world.request(1, conn);
    assert.deepEqual(
      readable(world, machine.text()).filter((line) => !line.includes("neighbour")),
      [
        "ip -4 -n client rule add pref 32765 ipproto 6 table T0 protocol 105",
        "ip -n client route add 0.0.0.0/0 via 172.16.1.0 dev nsm0 proto 105 onlink table T0",
      ],
    );
    given.policies = [];
    await world.request(1, conn);
    assert.deepEqual(
      readable(world, machine.text()).filter((line) => !line.includes("neighbour")),
      [],
    );
  });

  for (const [what, bad, message] of [
    ["a protocol by its name", { proto: "tcp" }, /proto of a policy route must be a number of 1\.\.255.*"tcp"/],
    ["ports that run backwards", { dstPort: "9-1" }, /ports of a policy route .* got "9-1"/],
    ["a port that is none", { srcPort: "70000" }, /ports of a policy route .* got "70000"/],
    ["a source that is no prefix", { from: "pod" }, /"pod" is neither an IP address nor a prefix/],
  ] as const) {
    it(`are refused with ${what}, and nothing is left`, async () => {
      const { world, machine, empty, client } = await served({ policies: [policy(bad)] });
      await using _ = world;
      await assert.rejects(world.request(1, asked(client)), { code: "invalid", message });
      assert.equal(machine.text(), empty);
    });
  }

  it("are refused when there are too many", async () => {
    const { world, client } = await served({ policies: Array.from({ length: 65 }, () => policy({ proto: "6" })) });
    await using _ = world;
    await assert.rejects(world.request(1, asked(client)), { code: "invalid", message: /may have 64 policy routes, the endpoint gave 65/ });
  });
});

describe("forwarder: parameters of a KERNEL mechanism", () => {
  it("lets the interface take packets of 127.0.0.0/8 where routeLocalNet asks for it", async () => {
    const { world, machine, client } = await served({ policies: [], parameters: { routeLocalNet: "true" } });
    await using _ = world;
    await world.request(1, asked(client));
    const lines = machine
      .text()
      .split("\n")
      .filter((line) => line.startsWith("sysctl"));
    assert.deepEqual(lines, ["sysctl net.ipv4.conf.nsm0.route_localnet=1"]);
    const ports = machine.kernelMachine.objects().filter((object) => object.kind === "port");
    assert.deepEqual(
      ports.filter(({ routeLocalnet }) => routeLocalnet).map(({ pod }) => pod.path),
      ["/run/netns/server"],
    );
  });

  it("refuses NAT rules in one sentence, and leaves nothing", async () => {
    const parameters = { IPTables4NatTemplate: "-N NSM_PREROUTE;-A NSM_PREROUTE -j ISTIO_REDIRECT" };
    const { world, machine, empty, client } = await served({ policies: [], parameters });
    await using _ = world;
    await assert.rejects(world.request(1, asked(client)), {
      message: /IPTables4NatTemplate is not done here: set the NAT rules inside the pod/,
    });
    assert.equal(machine.text(), empty);
  });

  it("lets the processes of an NSM client ping, once, and changes no setting for anybody else", async () => {
    const { world, machine, client } = await served({ policies: [] });
    await using _ = world;
    machine.pods.alias("inode://4/77", client);
    const plain = asked(client);
    const parameters = { ...plain.mechanism?.parameters, inodeURL: "inode://4/77" };
    const conn = await world.request(1, { ...plain, mechanism: { cls: "LOCAL", type: "KERNEL", parameters } });
    assert.equal(conn.mechanism?.parameters.inodeURL, "inode://4/77");
    await world.request(1, conn);
    assert.deepEqual(machine.pods.pinging, ["/run/netns/client"]);
  });
});
