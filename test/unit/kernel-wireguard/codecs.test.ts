import { deepEqual, equal, throws } from "node:assert/strict";
import fc from "fast-check";
import { parseAttributes } from "../../../kernel/netlink/attributes.js";
import { canonicalEndpoint, parseEndpoint, sortedCidrs } from "../../../kernel/wireguard/addresses.js";
import type { DeviceChange } from "../../../kernel/wireguard/config.js";
import { decodeDevice, encodeChange } from "../../../kernel/wireguard/message.js";
import { encodeSet, parseAnswer, parseGet } from "../../../kernel/wireguard/uapi.js";

const privateKey = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=";
const publicKey = "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=";
const peer = { publicKey, endpoint: "192.0.2.1:51820", allowedIps: ["fd00::2/128"], keepalive: 25 };

const someKey = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString("base64"));
const someEndpoint = fc
  .record({
    address: fc.oneof(
      fc.ipV4().map((ip) => ip),
      fc.ipV6().map((ip) => `[${ip}]`),
    ),
    port: fc.integer({ min: 1, max: 65_535 }),
  })
  .map(({ address, port }) => canonicalEndpoint(`${address}:${port}`));
const someCidr = fc.oneof(
  fc.tuple(fc.ipV4(), fc.integer({ min: 0, max: 32 })).map(([ip, bits]) => `${ip}/${bits}`),
  fc.tuple(fc.ipV6(), fc.integer({ min: 0, max: 128 })).map(([ip, bits]) => `${ip}/${bits}`),
);
const someChange: fc.Arbitrary<DeviceChange> = fc.record({
  privateKey: someKey,
  listenPort: fc.integer({ min: 0, max: 65_535 }),
  peers: fc.uniqueArray(
    fc.record({
      publicKey: someKey,
      endpoint: fc.option(someEndpoint, { nil: undefined }),
      allowedIps: fc.uniqueArray(someCidr, { maxLength: 5 }).map(sortedCidrs),
      keepalive: fc.integer({ min: 0, max: 65_535 }),
    }),
    { selector: (one) => one.publicKey, maxLength: 8 },
  ),
});

function asFound(change: DeviceChange): unknown {
  const none = { lastHandshake: 0, rxBytes: 0, txBytes: 0 };
  return { privateKey: change.privateKey, listenPort: change.listenPort, peers: change.peers?.map((one) => ({ ...one, ...none })) };
}

describe("the text protocol of wireguard-go", () => {
  it("says a change line by line, with keys in hex", () => {
    const lines = encodeSet({ privateKey, listenPort: 51_820, replacePeers: true, peers: [peer] }).split("\n");
    deepEqual(lines, [
      "set=1",
      "private_key=77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
      "listen_port=51820",
      "replace_peers=true",
      "public_key=8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
      "endpoint=192.0.2.1:51820",
      "persistent_keepalive_interval=25",
      "replace_allowed_ips=true",
      "allowed_ip=fd00::2/128",
      "",
      "",
    ]);
  });

  it("says nothing of what is to stay", () => {
    equal(encodeSet({ peers: [{ publicKey, remove: true, keepalive: 3 }] }).split("\n")[2], "remove=true");
    equal(encodeSet({}), "set=1\n\n");
  });

  it("reads peers with all that belongs to each", () => {
    const text = [
      "private_key=77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
      "listen_port=51820",
      "fwmark=0",
      "public_key=8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
      "preshared_key=0000000000000000000000000000000000000000000000000000000000000000",
      "endpoint=[2001:db8:0::1]:51820",
      "last_handshake_time_sec=1700000000",
      "last_handshake_time_nsec=250000000",
      "tx_bytes=7",
      "rx_bytes=9",
      "persistent_keepalive_interval=25",
      "allowed_ip=fd00::2/128",
      "allowed_ip=10.0.0.0/8",
      "protocol_version=1",
      "errno=0",
      "",
    ].join("\n");
    const found = {
      publicKey,
      endpoint: "[2001:db8::1]:51820",
      allowedIps: ["10.0.0.0/8", "fd00::2/128"],
      keepalive: 25,
      lastHandshake: 1_700_000_000_250,
      rxBytes: 9,
      txBytes: 7,
    };
    deepEqual(parseGet(text), { privateKey, listenPort: 51_820, peers: [found] });
  });

  it("fails with the errno that it was answered", () => {
    throws(() => parseAnswer("errno=-98\n"), /errno -98/);
    throws(() => parseAnswer(""), /errno missing/);
  });

  it("brings back any change that it was told", () => {
    fc.assert(
      fc.property(someChange, (change) => {
        const told = encodeSet(change)
          .split("\n")
          .filter((line) => !/^(set|replace)/.test(line));
        deepEqual(parseGet([...told, "errno=0"].join("\n")), asFound(change));
      }),
    );
  });
});

describe("the netlink messages of the kernel's WireGuard", () => {
  it("bring back any change that they were told", () => {
    fc.assert(
      fc.property(someChange, (change) => {
        const messages = encodeChange("wg0", change).map((attributes) => parseAttributes(Buffer.concat(attributes)));
        deepEqual(decodeDevice(messages), asFound(change));
      }),
    );
  });

  it("split many peers over several messages, and join one whose allowed IPs go on in the next", () => {
    const peers = Array.from({ length: 250 }, (_, n) => ({ ...peer, publicKey: Buffer.alloc(32, n).toString("base64") }));
    const messages = encodeChange("wg0", { privateKey, listenPort: 1, peers }).map((attributes) => Buffer.concat(attributes));
    equal(messages.length, 3);
    deepEqual(decodeDevice(messages.map((bytes) => parseAttributes(bytes))).peers.length, 250);
    const parts = ["10.0.0.0/8", "fd00::/8"].map((cidr) => encodeChange("wg0", { peers: [{ publicKey, allowedIps: [cidr] }] })[0] ?? []);
    const [joined] = decodeDevice(parts.map((attributes) => parseAttributes(Buffer.concat(attributes)))).peers;
    deepEqual(joined?.allowedIps, ["10.0.0.0/8", "fd00::/8"]);
  });

  it("are the bytes that linux/uapi/wireguard.h asks for", () => {
    const [attributes] = encodeChange("wg0", { listenPort: 51_820, peers: [{ publicKey, remove: true }] });
    const expected =
      "0800020077673000" + // name
      "060006006cca0000" + // listen port, little-endian
      "34000880" + // peers
      "30000080" + // the first
      "240001008520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a" +
      "0800030001000000"; // remove
    equal(Buffer.concat(attributes ?? []).toString("hex"), expected);
  });
});

describe("endpoints and ranges", () => {
  it("have one way to be written", () => {
    equal(canonicalEndpoint("[2001:DB8:0:0::1]:51820"), "[2001:db8::1]:51820");
    deepEqual(sortedCidrs(["fd00:0::1/128", "10.0.0.1/32"]), ["10.0.0.1/32", "fd00::1/128"]);
  });

  it("are refused with the bad value", () => {
    for (const bad of ["10.0.0.1", "10.0.0.1:0", "10.0.0.1:70000", "2001:db8::1:51820", "host:1", ""]) {
      throws(() => parseEndpoint(bad), new RegExp(JSON.stringify(bad).replace(/[[\]]/g, "\\$&")));
    }
    throws(() => sortedCidrs(["10.0.0.1"]), /10\.0\.0\.1/);
  });
});
