import assert from "node:assert/strict";
import { Connection } from "../../../api/gen/connection/connection.js";
import type { Call } from "../../../core/chain.js";
import { wireguardMechanism, wireguardParameters } from "../../../core/mechanism.js";
import { Claims } from "../../../forwarder/claims.js";
import { OwnEnd, type Underlay } from "../../../forwarder/mechanisms/ends.js";
import { wireguardWay } from "../../../forwarder/mechanisms/wireguard.js";
import { FakeClock } from "../../lib/fakeClock.js";

const key = `${"K".repeat(42)}A=`;
const theirs = `${"T".repeat(42)}A=`;
const said = { ip: "192.168.1.5", port: 51821, publicKey: theirs };

/** A node whose WireGuard sees the peer at `seen`, with a handshake just now. */
function way(parts: { readonly seen?: string; readonly external?: Underlay["external"] } = {}) {
  const clock = new FakeClock();
  const underlay = { ip: "10.0.0.1", mtu: 1500, wireguard: "kernel", external: parts.external } as const;
  const status = async () => [{ publicKey: theirs, endpoint: parts.seen, lastHandshake: clock.now(), rxBytes: 0, txBytes: 0 }];
  return wireguardWay({
    ...{ claims: new Claims(), underlay, clock, link: { status }, ports: { first: 51821, last: 51830 } },
    own: new OwnEnd({ underlay, site: "paris", trustDomain: "paris.test" }),
    keys: { offer: () => key, write: (id) => `/keys/${id}`, remove: () => {} },
  });
}

const calling = (networkServiceEndpointName: string): Call => ({
  ...{ connection: Connection.fromPartial({ id: "c1", payload: "IP", networkServiceEndpointName }), preferences: [], target: undefined },
  signal: new AbortController().signal,
});

describe("forwarder: a WIREGUARD connection", () => {
  const asked = wireguardMechanism({ source: said, destination: undefined, mtu: 0 });

  it("goes on to where the peer is seen, whatever it says of itself when it asks again", async () => {
    const wireguard = way({ seen: "198.51.100.7:40000" });
    const first = await wireguard.accept(calling("echo-1"), asked, undefined);
    assert.deepEqual([first.peerEndpoint, first.waits], ["192.168.1.5:51821", true]);
    const again = await wireguard.accept(calling("echo-1"), asked, first);
    assert.deepEqual([again.peerEndpoint, again.waits], ["198.51.100.7:40000", false]);
  });

  it("goes to where a new key says it is", async () => {
    const wireguard = way({ seen: "198.51.100.7:40000" });
    const first = await wireguard.accept(calling("echo-1"), asked, undefined);
    const other = wireguardMechanism({ source: { ...said, publicKey: key }, destination: undefined, mtu: 0 });
    const replaced = await wireguard.accept(calling("echo-1"), other, first);
    assert.deepEqual([replaced.peerEndpoint, replaced.waits], ["192.168.1.5:51821", true]);
  });

  it("is offered to another site at the address outside and the own port, and begun by who is not reached", async () => {
    const end = async (external: Underlay["external"]) =>
      wireguardParameters(await way({ external }).offer(calling("echo-1@tokyo"), undefined)).source;
    assert.deepEqual(await end({ host: "198.51.100.1", port: 443 }), { ip: "198.51.100.1", port: 51821, publicKey: key });
    // NSM knows no end without an address.
    assert.deepEqual(await end("none"), { ip: "10.0.0.1", port: 51821, publicKey: key });
    const begun = await way({ external: "none" }).accept(calling("echo-1@tokyo"), asked, undefined);
    assert.equal(begun.waits, false);
  });
});
