import assert from "node:assert/strict";
import { appendFileSync, chmodSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { X509SVIDResponse } from "../../../api/gen/spiffe/workload.js";
import { MeshError } from "../../../core/error.js";
import { type Log, silent } from "../../../core/log.js";
import { Authority } from "../../../identity/ca/authority.js";
import { RenewingSource } from "../../../identity/ca/renewing.js";
import { FileSource } from "../../../identity/files.js";
import { generateKey, spkiOf } from "../../../identity/keys.js";
import type { Identified } from "../../../identity/source.js";
import { parseSpiffeId } from "../../../identity/spiffe.js";
import { svidOf } from "../../../identity/svid.js";
import { WorkloadApiSource } from "../../../identity/workloadApi/source.js";
import { systemClock } from "../../../program/clock.js";
import { authority, identified } from "../../lib/certificates.js";
import { throwsWith } from "../../lib/chainKit.js";
import { FakeClock } from "../../lib/fakeClock.js";
import { newFolder } from "../../lib/folder.js";
import { until } from "../../lib/until.js";
import { answerWith, WorkloadApi } from "../../lib/workloadApi.js";
import { identitySourceSuite } from "../../suite/identitySource.js";

const id = "spiffe://paris/node/paris-1/nsmgr";

/** A log whose warnings can be waited for. */
function heard(): { readonly log: Log; readonly warnings: string[] } {
  const warnings: string[] = [];
  return { warnings, log: { ...silent, warn: (event) => void warnings.push(event), child: () => silent } };
}

identitySourceSuite("the site's own authority", async () => {
  const folder = newFolder();
  const clock = new FakeClock();
  const files = { keyFile: join(folder.path, "ca.key"), certificateFile: join(folder.path, "ca.pem") };
  const ca = await Authority.open({ ...files, trustDomain: "paris", lifetimeMs: 60_000, clock });
  const { log, warnings } = heard();
  let spoiled = false;
  const renew = async (key = generateKey().privateKey): Promise<Identified> => {
    if (spoiled) throw new MeshError("unreachable", "the registry is away");
    const { chain, authorities } = await ca.issue(parseSpiffeId(id), spkiOf(key));
    return { svid: svidOf(chain, key), bundles: new Map([["paris", authorities]]) };
  };
  const source = new RenewingSource({ first: await renew(), renew, clock, log });
  return {
    source,
    id,
    now: () => clock.now(),
    rotate: async () => {
      spoiled = false;
      await clock.advance(30_000);
    },
    spoil: async () => {
      spoiled = true;
      await clock.advance(29_000);
      await until("it has tried", 2_000, () => warnings.includes("identity not renewed"));
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      assert.equal(clock.pending, 0);
      folder[Symbol.dispose]();
    },
  };
});

identitySourceSuite("files", async () => {
  const folder = newFolder();
  const now = Date.now();
  const paris = await authority(now);
  const file = (name: string) => join(folder.path, name);
  const write = (name: string, content: string) => {
    writeFileSync(file(`${name}.new`), content, { mode: 0o600 });
    renameSync(file(`${name}.new`), file(name));
  };
  const give = async () => {
    const { svid } = await identified(paris, id, now);
    write("key.pem", svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string);
    write("svid.pem", svid.chain.join(""));
    write("bundle.pem", paris.certificate.toString());
  };
  await give();
  const { log, warnings } = heard();
  const files = { certificateFile: file("svid.pem"), keyFile: file("key.pem"), bundleFile: file("bundle.pem") };
  const source = new FileSource({ ...files, clock: systemClock, log });
  return {
    source,
    id,
    now: () => now,
    rotate: give,
    spoil: async () => {
      write("key.pem", generateKey().privateKey.export({ format: "pem", type: "pkcs8" }) as string);
      await until("it has looked", 2_000, () => warnings.includes("identity files not taken over"));
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
});

identitySourceSuite("the Workload API", async () => {
  const folder = newFolder();
  const now = Date.now();
  const paris = await authority(now);
  const api = await WorkloadApi.serve(join(folder.path, "agent.sock"), answerWith(await identified(paris, id, now)));
  const { log, warnings } = heard();
  const source = await WorkloadApiSource.open({ socket: api.socket, clock: systemClock, log, signal: AbortSignal.timeout(5_000) });
  return {
    source,
    id,
    now: () => now,
    rotate: async () => api.send(answerWith(await identified(paris, id, now))),
    spoil: async () => {
      api.send(X509SVIDResponse.fromPartial({ svids: [{ spiffeId: id, x509Svid: Buffer.from("no certificate") }] }));
      await until("it has looked", 2_000, () => warnings.includes("Workload API lost"));
      api.send(answerWith({ svid: source.current, bundles: source.bundles }));
    },
    [Symbol.asyncDispose]: async () => {
      await source[Symbol.asyncDispose]();
      await api[Symbol.asyncDispose]();
      folder[Symbol.dispose]();
    },
  };
});

describe("the Workload API", () => {
  it("is asked with its metadata, asked again when the stream breaks, and brings federated bundles along", async () => {
    using folder = newFolder();
    const now = Date.now();
    const [paris, tokyo] = await Promise.all([authority(now), authority(now)]);
    const first = answerWith(await identified(paris, id, now), { "spiffe://tokyo": tokyo.certificate.raw });
    await using api = await WorkloadApi.serve(join(folder.path, "agent.sock"), first);
    await using source = await WorkloadApiSource.open({
      ...{ socket: api.socket, clock: systemClock, log: silent, signal: AbortSignal.timeout(5_000) },
    });
    assert.deepEqual([...source.bundles.keys()], ["paris", "tokyo"]);
    await api.breakStreams();
    assert.deepEqual([api.taken, api.refused], [2, 0]);
  });

  it("is waited for only as long as the caller waits", async () => {
    const signal = AbortSignal.timeout(50);
    const parts = { socket: "unix:///nowhere/agent.sock", clock: systemClock, log: silent, signal };
    await assert.rejects(WorkloadApiSource.open(parts), { name: "TimeoutError" });
    await assert.rejects(WorkloadApiSource.open({ ...parts, socket: "tcp://1.2.3.4:5" }), { code: "invalid" });
  });
});

describe("identity files", () => {
  it("are refused when others can read the key", async () => {
    using folder = newFolder();
    const [keyFile, certificateFile] = [join(folder.path, "key.pem"), join(folder.path, "svid.pem")];
    const { svid } = await identified(await authority(Date.now()), id, Date.now());
    writeFileSync(keyFile, svid.privateKey.export({ format: "pem", type: "pkcs8" }) as string);
    writeFileSync(certificateFile, svid.chain.join(""));
    chmodSync(keyFile, 0o640);
    const parts = { keyFile, certificateFile, bundleFile: certificateFile, clock: systemClock, log: silent };
    throwsWith("denied", `others can read it: \`chmod 600 ${keyFile}\``, () => new FileSource(parts));
  });
});

describe("whom a site trusts", () => {
  const both = async () => {
    const clock = new FakeClock();
    const [paris, tokyo] = await Promise.all([authority(clock.now()), authority(clock.now())]);
    const first = await identified(paris, id, clock.now(), 60_000);
    const joined: Identified = { ...first, bundles: new Map([...first.bundles, ["tokyo", [tokyo.certificate]]]) };
    return { clock, paris, joined, alone: first.bundles };
  };

  it("is not what it was before because a renewal was on its way when it changed", async () => {
    const { clock, paris, joined, alone } = await both();
    let answer: (identified: Identified) => void = () => {};
    const renew = () => new Promise<Identified>((resolve) => (answer = resolve));
    await using source = new RenewingSource({ first: joined, renew, clock, log: silent });
    await clock.advance(30_000);
    source.trust(alone);
    const { svid } = await identified(paris, id, clock.now());
    answer({ svid, bundles: joined.bundles });
    await until("it is renewed", 1_000, () => source.current === svid);
    assert.deepEqual([...source.bundles.keys()], ["paris"]);
  });

  it("counts at once, also when it cannot be kept", async () => {
    const { clock, joined, alone } = await both();
    const { log, warnings } = heard();
    const keep = () => {
      throw new Error("no space left");
    };
    await using source = new RenewingSource({ first: joined, renew: async () => joined, keep, clock, log });
    source.trust(alone);
    assert.deepEqual([...source.bundles.keys()], ["paris"]);
    assert.deepEqual(warnings, ["trusted domains not kept"]);
  });
});

describe("the site's authority", () => {
  const open = (folder: string, more: object = {}) =>
    Authority.open({
      ...{ trustDomain: "paris", lifetimeMs: 3_600_000, clock: systemClock },
      ...{ keyFile: join(folder, "ca.key"), certificateFile: join(folder, "ca.pem"), ...more },
    });

  it("is made once, with a key that only its owner can read, and is the same afterwards", async () => {
    using folder = newFolder();
    const made = await open(folder.path);
    assert.equal(statSync(join(folder.path, "ca.key")).mode & 0o777, 0o600);
    assert.equal((await open(folder.path)).fingerprint, made.fingerprint);
  });

  it("is made whole where an earlier run ended between its two files", async () => {
    using folder = newFolder();
    const inTheWay = join(folder.path, "certificates");
    const certificateFile = join(inTheWay, "ca.pem");
    writeFileSync(inTheWay, "");
    await assert.rejects(open(folder.path, { certificateFile }));
    rmSync(inTheWay);
    const made = await open(folder.path, { certificateFile });
    assert.equal((await open(folder.path, { certificateFile })).fingerprint, made.fingerprint);
    renameSync(join(folder.path, "ca.key"), join(folder.path, "ca.key.made"));
    assert.equal((await open(folder.path, { certificateFile })).fingerprint, made.fingerprint);
    assert.deepEqual(readdirSync(folder.path).sort(), ["ca.key", "certificates"]);
  });

  it("can be given from outside, and is refused when key and certificate do not fit or one is missing", async () => {
    using folder = newFolder();
    using other = newFolder();
    await open(folder.path);
    await open(other.path);
    await assert.rejects(open(folder.path, { keyFile: join(other.path, "ca.key") }), { code: "invalid", message: /is not the key of/ });
    await assert.rejects(open(folder.path, { keyFile: join(other.path, "none") }), { code: "invalid", message: /one is not there/ });
    chmodSync(join(folder.path, "ca.key"), 0o644);
    await assert.rejects(open(folder.path), { code: "denied", message: /others can read it/ });
  });

  it("has others trusted as well whose certificates are behind its own, while one takes over from another", async () => {
    using folder = newFolder();
    using next = newFolder();
    await open(folder.path);
    const after = await open(next.path);
    const file = join(folder.path, "ca.pem");
    appendFileSync(file, after.certificate.toString());
    const both = await open(folder.path);
    const { chain, authorities } = await both.issue(parseSpiffeId("spiffe://paris/x"), spkiOf(generateKey().privateKey));
    assert.equal(authorities.length, 2);
    assert.equal(authorities[1]?.fingerprint256, after.certificate.fingerprint256);
    assert.ok(chain[0]?.verify(both.certificate.publicKey));
  });

  it("signs for its own trust domain only, and for keys on P-256 only", async () => {
    using folder = newFolder();
    const ca = await open(folder.path);
    await assert.rejects(ca.issue(parseSpiffeId("spiffe://tokyo/x"), spkiOf(generateKey().privateKey)), { code: "denied" });
    await assert.rejects(ca.issue(parseSpiffeId("spiffe://paris/x"), Buffer.from("no key")), { code: "invalid" });
  });
});
