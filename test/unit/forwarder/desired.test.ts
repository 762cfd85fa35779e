import assert from "node:assert/strict";
import { withIpContext } from "../../../core/context.js";
import { addressesOf } from "../../../forwarder/addresses.js";
import type { Addresses, CrossConnect, Side } from "../../../forwarder/crossConnect.js";
import { desired, type NodeView } from "../../../forwarder/desired.js";
import { additions } from "../../../kernel/commands.js";
import { asked } from "./world.js";

const mechanism = { cls: "LOCAL", type: "KERNEL", parameters: {} };
const client: Side = { kind: "kernel", mechanism, pod: { path: "/run/netns/c", cookie: "1" }, name: "nsm0" };
const server: Side = { kind: "kernel", mechanism, pod: { path: "/run/netns/s", cookie: "2" }, name: "nsm0" };
const tunnel = {
  device: "wg",
  alias: "",
  listenPort: 1,
  privateKeyFile: "",
  publicKey: "",
  address: "fd00::1",
  mtu: 1440,
  vxlanPort: 4789,
};
const view: NodeView = { tunnel, peerMtu: () => 1300 };
const none: Addresses = { src: [], dst: [], srcRoutes: [], dstRoutes: [], neighbours: [] };

function lines(change: Partial<CrossConnect>, which: RegExp): string[] {
  const connect: CrossConnect = { id: "x", payload: "IP", mtu: 0, addresses: none, client, endpoint: server, ...change };
  return desired(connect, view)
    .flatMap(additions)
    .filter((line) => which.test(line));
}

describe("forwarder: what a connection wants", () => {
  it("routes to the peer on the link, and all else through the peer's first address of the family", () => {
    const addresses = {
      ...none,
      src: ["172.16.1.1/32", "2001:db8::1/128"],
      dst: ["172.16.1.0/32", "172.16.1.9/32", "2001:db8::/128"],
      srcRoutes: [{ prefix: "172.16.1.0/32" }, { prefix: "10.0.0.0/8" }, { prefix: "::/0" }, { prefix: "10.9.0.0/16", via: "172.16.1.9" }],
    };
    assert.deepEqual(lines({ addresses }, /-n c route/), [
      "ip -n c route add 172.16.1.0/32 dev nsm0 proto 105",
      "ip -n c route add 172.16.1.9/32 dev nsm0 proto 105",
      "ip -n c route add 2001:db8::/128 dev nsm0 proto 105",
      "ip -n c route add 10.0.0.0/8 via 172.16.1.0 dev nsm0 proto 105 onlink",
      "ip -n c route add ::/0 via 2001:db8:: dev nsm0 proto 105 onlink",
      "ip -n c route add 10.9.0.0/16 via 172.16.1.9 dev nsm0 proto 105 onlink",
    ]);
  });

  it("leaves alone what the kernel routes by itself", () => {
    const addresses = { ...none, src: ["10.1.0.2/24"], dst: ["10.1.0.1/24"], srcRoutes: [{ prefix: "10.1.0.0/24" }] };
    assert.deepEqual(lines({ addresses }, / route /), []);
  });

  it("has a permanent neighbour for each next hop with payload IP, and none with ETHERNET", () => {
    const addresses = { ...none, src: ["10.1.0.2/32"], dst: ["10.1.0.1/32"], srcRoutes: [{ prefix: "10.2.0.0/16", via: "10.1.0.7" }] };
    const [peer, hop] = lines({ addresses }, /-n c neighbour/);
    assert.match(peer ?? "", /10\.1\.0\.1 lladdr 02:/);
    assert.match(hop ?? "", /10\.1\.0\.7 lladdr 02:/);
    assert.deepEqual(lines({ addresses, payload: "ETHERNET" }, /neighbour/), []);
  });

  it("gives an address the same MAC on every node and in every connection", () => {
    const addresses = { ...none, src: ["10.1.0.2/32"], dst: ["10.1.0.1/32"] };
    const mac = (id: string) => /peer name nsm0 address (\S+)/.exec(lines({ id, addresses }, /netns \/run\/netns\/c/)[0] ?? "")?.[1];
    assert.equal(mac("x"), mac("y"));
    assert.ok(lines({ addresses }, /-n s neighbour/)[0]?.includes(mac("x") ?? "?"));
    const asIs = { ...addresses, srcMac: "02:aa:bb:cc:dd:ee" };
    assert.match(lines({ addresses: asIs }, /netns \/run\/netns\/c/)[0] ?? "", /address 02:aa:bb:cc:dd:ee/);
  });

  it("never has less than 1280 where the pods speak IPv6", () => {
    const endpoint: Side = { kind: "node-tunnel", mechanism, vni: 5, peerVni: 6, peer: "fd00::2" };
    const mtu = (addresses: Addresses) => lines({ endpoint, addresses }, /type vxlan/)[0]?.match(/mtu (\d+)/)?.[1];
    assert.equal(mtu({ ...none, src: ["10.1.0.2/32"] }), "1230");
    assert.equal(mtu({ ...none, src: ["2001:db8::1/128"] }), "1280");
  });

  it("puts an Ethernet header on what comes out of a WireGuard device", () => {
    const endpoint: Side = {
      ...{ kind: "wireguard", mechanism, listenPort: 51821, keyFile: "/k", publicKey: "A", peerKey: "B" },
      ...{ peerEndpoint: "192.0.2.2:51821", waits: false },
    };
    const addresses = { ...none, src: ["10.1.0.2/32"], dst: ["10.1.0.1/32"] };
    const [out, back] = lines({ endpoint, addresses }, /^tc/);
    assert.match(out ?? "", /redirect device isge-\S+$/);
    const macs = /peer name nsm0 address (\S+)/.exec(lines({ endpoint, addresses }, /type veth/)[0] ?? "");
    assert.match(back ?? "", new RegExp(`redirect peer ispc-\\S+ ethernet ${macs?.[1]} from 02:`));
  });

  it("is refused where both sides would leave the node", () => {
    const endpoint: Side = { kind: "node-tunnel", mechanism, vni: 5, peerVni: 6, peer: "fd00::2" };
    assert.throws(() => lines({ client: endpoint, endpoint }, /./), { code: "unsupported" });
  });

  it("reads addresses in any writing, and names a bad one", () => {
    const read = (src: string[]) => addressesOf(withIpContext(asked({ path: "", cookie: "" }), { srcIpAddrs: src })).src;
    assert.deepEqual(read(["172.16.1.2", "2001:DB8:0::1/64", "172.16.1.2/32"]), ["172.16.1.2/32", "2001:db8::1/64"]);
    assert.throws(() => read(["172.16.1.300/32"]), /172\.16\.1\.300/);
  });
});
