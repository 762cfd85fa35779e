import assert from "node:assert/strict";
import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { selfSigned } from "../../../identity/ca/selfSigned.js";
import { parsePem, splitDer } from "../../../identity/certificate.js";
import { generateKey } from "../../../identity/keys.js";
import { parseKey, svidOf } from "../../../identity/svid.js";
import { verifyChain } from "../../../identity/verify.js";
import { authority, certificate, type Made, pem, type Wish } from "../../lib/certificates.js";
import { throwsWith } from "../../lib/chainKit.js";

const now = 1_700_000_000_000;
const minute = 60_000;
const id = "spiffe://paris/node/paris-1/nsmgr";

describe("a peer's certificate", () => {
  let paris: Made;
  let tokyo: Made;
  before(async () => {
    [paris, tokyo] = await Promise.all([authority(now), authority(now)]);
  });
  const trusted = () => new Map([["paris", [paris.certificate]]]);
  const leaf = (more: Partial<Wish> = {}) => certificate({ by: paris, uris: [id], from: now - minute, to: now + minute, ...more });
  const refused = async (made: Made, words: string | RegExp, at = now) =>
    throwsWith("denied", words, () => verifyChain([made.certificate], trusted(), at));

  it("says who it is when an authority of its own trust domain signed it", async () => {
    const made = await leaf();
    assert.equal(verifyChain([made.certificate], trusted(), now).id, id);
  });

  it("is taken through an intermediate that it brings along, and not without it", async () => {
    const between = await certificate({ by: paris, ca: true, from: now - minute, to: now + minute });
    const made = await leaf({ by: between });
    assert.equal(verifyChain([made.certificate, between.certificate], trusted(), now).id, id);
    await refused(made, "is signed by none of the authorities");
  });

  it("is refused when what signed it is no authority, though it was signed itself", async () => {
    const other = await leaf();
    const made = await leaf({ by: other });
    throwsWith("denied", "is signed by none", () => verifyChain([made.certificate, other.certificate], trusted(), now));
  });

  it("is refused when the intermediate is over", async () => {
    const between = await certificate({ by: paris, ca: true, from: now - 2 * minute, to: now - minute });
    const made = await leaf({ by: between });
    throwsWith("denied", "is signed by none", () => verifyChain([made.certificate, between.certificate], trusted(), now));
  });

  it("costs little to refuse when it comes with many authorities that all sign one another", async () => {
    const { privateKey: key } = generateKey();
    const wish = { key, name: "x", ca: true, from: now - minute, to: now + minute };
    const first = await certificate(wish);
    const more = await Promise.all(Array.from({ length: 6 }, () => certificate({ ...wish, by: first })));
    const made = await leaf({ by: first });
    const chain = [made, first, ...more].map((one) => one.certificate);
    let checks = 0;
    const { verify } = X509Certificate.prototype;
    X509Certificate.prototype.verify = function (by) {
      checks++;
      return verify.call(this, by);
    };
    try {
      throwsWith("denied", "is signed by none", () => verifyChain(chain, trusted(), now));
    } finally {
      X509Certificate.prototype.verify = verify;
    }
    assert.ok(checks > 0 && checks <= chain.length ** 2, `${checks} signatures checked`);
  });

  it("is refused when another trust domain's authority signed it", async () => {
    const made = await leaf({ by: tokyo });
    const both = new Map([...trusted(), ["tokyo", [tokyo.certificate]]]);
    throwsWith("denied", "is signed by none of the authorities of the trust domain paris", () =>
      verifyChain([made.certificate], both, now),
    );
  });

  it("is refused from a trust domain that is not trusted, which says which ones are", async () => {
    await refused(
      await leaf({ by: tokyo, uris: ["spiffe://tokyo/x"] }),
      "is of the trust domain tokyo, which is not trusted here; trusted are: paris",
    );
  });

  it("is refused without a SPIFFE id, with several, and with one that is none", async () => {
    await refused(await leaf({ uris: [] }), "has no SPIFFE id");
    await refused(await leaf({ uris: ["https://paris/nsmgr"] }), "has no SPIFFE id");
    await refused(await leaf({ uris: [id, "spiffe://paris/registry"] }), "has 2 SPIFFE ids");
    await refused(await leaf({ uris: ["spiffe://paris/a//b"] }), "the path of");
    await refused(await leaf({ uris: ["spiffe://paris/a, URI:spiffe://paris/registry"] }), /SPIFFE id/);
  });

  it("is refused after its time, and the sentence asks after the clocks when that is minutes ago", async () => {
    const made = await leaf();
    await refused(made, /expired at 2023-.*, 240 s off by this machine's clock: do the clocks of both machines agree\?$/, now + 5 * minute);
    await refused(made, /expired at .*, 86340 s off by this machine's clock$/, now + 1440 * minute);
  });

  it("is refused before its time, and the sentence asks after the clocks", async () => {
    await refused(await leaf(), /is not valid before .*, 240 s off .* do the clocks of both machines agree\?$/, now - 5 * minute);
  });

  it("is refused with a key that cannot sign ES256", async () => {
    const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-384" });
    await refused(await leaf({ key: privateKey }), "it must be on P-256");
  });

  it("is refused when it is an authority's own", async () => {
    await refused(await leaf({ ca: true }), "is an authority's");
  });

  it("is refused when nobody but itself signed it", async () => {
    await refused(await certificate({ uris: [id], from: now - minute, to: now + minute }), "is signed by none");
    throwsWith("denied", "has no SPIFFE id", () => verifyChain([selfSigned(generateKey().privateKey, "x", now, minute)], trusted(), now));
    throwsWith("denied", "showed no certificate", () => verifyChain([], trusted(), now));
  });
});

describe("a self-signed certificate", () => {
  it("is one that OpenSSL reads and finds signed by its own key", () => {
    const { privateKey } = generateKey();
    const made = selfSigned(privateKey, "forwarder of paris-1", now, minute);
    assert.ok(made.verify(made.publicKey));
    assert.ok(made.checkPrivateKey(privateKey));
    assert.equal(made.subject, "CN=forwarder of paris-1");
    assert.deepEqual([Date.parse(made.validFrom), Date.parse(made.validTo)], [now, now + minute]);
  });
});

describe("an SVID", () => {
  it("is refused with a key that is not its own, and the sentence does not show the key", async () => {
    const made = await certificate({ uris: [id], from: now, to: now + minute });
    throwsWith("invalid", `the key is not that of the certificate of ${id}`, () => svidOf([made.certificate], generateKey().privateKey));
    throwsWith("invalid", "holds no private key", () => parseKey("-----BEGIN PRIVATE KEY-----\nxx\n-----END PRIVATE KEY-----", "k.pem"));
  });

  it("is read from PEM with its intermediates, and refused when there is nothing or rubbish", async () => {
    const made = await certificate({ uris: [id], from: now, to: now + minute });
    assert.equal(parsePem(pem(made).certificate.repeat(2), "x").length, 2);
    throwsWith("invalid", "c.pem holds no certificate", () => parsePem("nothing", "c.pem"));
    throwsWith("invalid", "is no certificate", () => parsePem("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----", "c.pem"));
  });

  it("is cut out of a row of DER, and refused when the row breaks off", async () => {
    const made = await certificate({ uris: [id], from: now, to: now + minute });
    const raw = made.certificate.raw;
    assert.deepEqual(
      splitDer(Buffer.concat([raw, raw]), "x").map(({ length }) => length),
      [raw.length, raw.length],
    );
    throwsWith("invalid", "in DER", () => splitDer(raw.subarray(0, raw.length - 1), "x"));
    throwsWith("invalid", "in DER", () => splitDer(Buffer.from([1, 2, 3]), "x"));
  });
});
