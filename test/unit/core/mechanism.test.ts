import assert from "node:assert/strict";
import { withContext } from "../../../core/context.js";
import {
  checkInterfaceName,
  kernelMechanism,
  kernelParameters,
  mechanismName,
  preferred,
  tunnelMechanism,
  tunnelParameters,
  vxlanMechanism,
  vxlanParameters,
  wireguardMechanism,
  wireguardParameters,
} from "../../../core/mechanism.js";
import { connection, mechanism, throwsWith } from "../../lib/chainKit.js";

const key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const source = { at: { ip: "10.101.0.11", port: 51820 }, publicKey: key, vni: 77 };
const destination = { at: { ip: "fd00:102::11", port: 51821 }, publicKey: key, vni: 16_777_215 };

describe("mechanism", () => {
  it("has the names that users use", () => {
    assert.deepEqual(
      ["KERNEL", "NODE_TUNNEL", "WIREGUARD", "VXLAN", "MEMIF"].map((type) => mechanismName(mechanism(type))),
      ["kernel", "node-tunnel", "wireguard", "vxlan", "memif"],
    );
  });

  it("knows which one the user asked for", () => {
    const asking = (name: string) => preferred(withContext(connection(), { extraContext: { "isthmus.mechanism": name } }));
    assert.equal(preferred(connection()), undefined);
    assert.equal(asking("auto"), undefined);
    assert.equal(asking("wireguard"), "wireguard");
    throwsWith("invalid", 'no mechanism "ipsec"; allowed: auto, kernel, node-tunnel, wireguard, vxlan', () => asking("ipsec"));
    throwsWith("invalid", "no mechanism", () => asking("toString"));
  });

  it("reads what it writes", () => {
    const kernel = { netns: "file:///run/netns/pod", name: "nsm0", routeLocalnet: false };
    const ends = { source, destination, mtu: 1370 };
    const half = { source: { ...source.at, publicKey: key }, destination: undefined, mtu: 0 };
    const plain = { source: { ip: "10.0.0.1", port: 4789 }, destination: { ip: "10.0.0.2", port: 4789 }, vni: 5, mtu: 1446 };
    assert.deepEqual(kernelParameters(kernelMechanism(kernel)), kernel);
    assert.deepEqual(tunnelParameters(tunnelMechanism(ends)), ends);
    assert.deepEqual(wireguardParameters(wireguardMechanism(half)), half);
    assert.deepEqual(vxlanParameters(vxlanMechanism(plain)), plain);
    assert.equal(kernelMechanism(kernel).cls, "LOCAL");
    assert.equal(tunnelMechanism(ends).cls, "REMOTE");
  });

  it("says of a node that cannot be reached nothing but its key and its VNI, also where it could be before", () => {
    const hidden = { publicKey: key, vni: 5 };
    const now = tunnelMechanism({ source, destination: hidden, mtu: 0 }, tunnelMechanism({ source, destination, mtu: 0 }));
    assert.deepEqual(tunnelParameters(now), { source, destination: hidden, mtu: 0 });
  });

  it("keeps parameters that it does not know", () => {
    const base = mechanism("KERNEL", { routeLocalNet: "true", name: "old" });
    assert.deepEqual(kernelMechanism({ netns: "file:///run/netns/pod", name: "nsm0" }, base).parameters, {
      routeLocalNet: "true",
      inodeURL: "file:///run/netns/pod",
      name: "nsm0",
    });
  });

  it("takes NSM's namespaces and an interface without a name", () => {
    assert.deepEqual(kernelParameters(mechanism("KERNEL", { inodeURL: "inode://4/4026532281" })), {
      netns: "inode://4/4026532281",
      name: "",
      routeLocalnet: false,
    });
  });

  it("takes NSM's routeLocalNet as Go writes it, and no NAT rules", () => {
    const asked = (routeLocalNet: string) => mechanism("KERNEL", { inodeURL: "file:///run/netns/pod", routeLocalNet });
    assert.deepEqual(
      ["true", "True", "1", "t", "false", "0", "", "yes"].map((value) => kernelParameters(asked(value)).routeLocalnet),
      [true, true, true, true, false, false, false, false],
    );
    const nat = mechanism("KERNEL", { inodeURL: "file:///run/netns/pod", IPTables4NatTemplate: "-N NSM" });
    assert.throws(() => kernelParameters(nat), { code: "unsupported", message: /IPTables4NatTemplate is not done here/ });
  });

  const bad: [string, string, () => unknown][] = [
    ["no namespace", "inodeURL of mechanism KERNEL", () => kernelParameters(mechanism("KERNEL"))],
    ["a namespace that is no URL", 'got "/run/netns/x"', () => kernelParameters(mechanism("KERNEL", { inodeURL: "/run/netns/x" }))],
    ["a port out of range", "src_port of mechanism NODE_TUNNEL must be a number from 1 to 65535", () => tunnel({ src_port: "65536" })],
    ["a VNI out of range", "src_vni of mechanism NODE_TUNNEL must be a number from 1 to 16777215", () => tunnel({ src_vni: "16777216" })],
    ["a VNI that is no number", 'got "0x10"', () => tunnel({ src_vni: "0x10" })],
    ["a key that is too short", "32 bytes in base64", () => tunnel({ src_public_key: "abc=" })],
    ["an address that is none", "src_ip of mechanism NODE_TUNNEL must be an IP address", () => tunnel({ src_ip: "10.0.0" })],
    ["an address with a length", "without a prefix length", () => tunnel({ src_ip: "10.0.0.1/24" })],
    ["an MTU that is none", "MTU of mechanism NODE_TUNNEL", () => tunnel({ MTU: "-1" })],
    ["half an end", "dst_vni", () => tunnel({ dst_public_key: key })],
    ["an end of NSM's without its key", "dst_public_key", () => wireguardParameters(mechanism("WIREGUARD", { dst_ip: "10.0.0.2" }))],
  ];
  const tunnel = (parameters: Record<string, string>) => {
    const whole = tunnelMechanism({ source, destination: undefined, mtu: 0 });
    return tunnelParameters({ ...whole, parameters: { ...whole.parameters, ...parameters } });
  };
  for (const [what, words, read] of bad) it(`refuses ${what}`, () => throwsWith("invalid", words, read));
});

describe("checkInterfaceName", () => {
  it("takes what the kernel takes", () => {
    for (const name of ["nsm0", "a", "123456789012345", "eth0.100", "ü"]) checkInterfaceName(name);
  });

  it("refuses what it does not", () => {
    throwsWith("invalid", "1 to 15 bytes", () => checkInterfaceName("1234567890123456"));
    throwsWith("invalid", '"üüüüüüüü" has 16', () => checkInterfaceName("üüüüüüüü"));
    throwsWith("invalid", "1 to 15 bytes", () => checkInterfaceName(""));
    for (const name of ["a/b", "a b", ".", "..", "a:b", "a\u0000", "nsm%d", "a\n"])
      throwsWith("invalid", "no interface name", () => checkInterfaceName(name));
  });
});
