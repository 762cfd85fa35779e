import assert from "node:assert/strict";
import { peerAddress, sourceSegment, tunnelAddress, tunnelKeyClaim } from "../../../forwarder/tunnel/address.js";
import type { Identity } from "../../../identity/identity.js";
import { generateKey } from "../../../identity/keys.js";
import { connection, mechanism, segment, throwsWith } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { testIdentity } from "../../lib/identities.js";
import { makeToken } from "../../lib/tokenMaker.js";

const clock = new FakeClock();
const exp = clock.now() / 1000 + 600;
const id = "spiffe://test/node/one/forwarder";

describe("the tunnel address of the other end", () => {
  let here: Identity;
  let peer: Identity;
  let thief: Identity;
  before(async () => {
    [here, peer, thief] = (await Promise.all(
      ["spiffe://test/node/two/forwarder", id, "spiffe://test/node/three/forwarder"].map((one) => testIdentity(one, clock)),
    )) as [Identity, Identity, Identity];
  });

  /** As the forwarder of node two sees it, whose peer's segment has this token. */
  const ask = (token: string, publicKey = "KEY") =>
    peerAddress({
      connection: connection({}, ["client/c1", "nsmgr/n1", segment("forwarder/f1", { token }), "nsmgr/n2", "forwarder/f2"], 4),
      mechanism: mechanism("NODE_TUNNEL", { [sourceSegment]: "f1" }),
      ...{ parameter: sourceSegment, publicKey, prover: here.prover },
    });
  const claims = (more: object = {}) => ({ sub: id, exp, [tunnelKeyClaim]: "KEY", ...more });

  it("follows from the identity that its forwarder's token proves", () => {
    assert.equal(ask(makeToken(claims(), peer.source.current)), tunnelAddress(id));
  });

  it("is nobody's who cannot sign in that name", () => {
    throwsWith("denied", `does not show that it is of ${id}`, () => ask(makeToken(claims(), thief.source.current)));
    throwsWith("denied", `does not show that it is of ${id}`, () => ask(makeToken(claims(), generateKey().privateKey)));
    const x5c = peer.source.current.chain.map(({ raw }) => raw.toString("base64"));
    throwsWith("denied", "is not signed with the key", () => ask(makeToken(claims(), thief.source.current, { x5c })));
    throwsWith("denied", "names nobody", () => ask("no token"));
  });

  it("is that of who has asked us, not of somebody further away, whose token is genuine all the same", () => {
    const token = makeToken(claims(), peer.source.current);
    const hops = (...between: string[]) => ["client/c1", segment("forwarder/f1", { token }), ...between, "nsmgr/n2", "forwarder/f2"];
    const askedBy = (...between: string[]) =>
      peerAddress({
        connection: connection({}, hops(...between), 3 + between.length),
        mechanism: mechanism("NODE_TUNNEL", { [sourceSegment]: "f1" }),
        ...{ parameter: sourceSegment, publicKey: "KEY", prover: here.prover },
      });
    assert.equal(askedBy(), tunnelAddress(id));
    throwsWith("invalid", 'src_segment "f1" names neither of the two hops', () => askedBy("thief/t1"));
  });

  it("is not given to another key than the one that its owner has signed, though the token is genuine", () => {
    const genuine = makeToken(claims(), peer.source.current);
    throwsWith("denied", `is not the one that ${id} has signed`, () => ask(genuine, "THIEF"));
    throwsWith("denied", "is not the one", () => ask(makeToken(claims({ [tunnelKeyClaim]: undefined }), peer.source.current)));
  });
});
