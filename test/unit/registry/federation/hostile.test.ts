import assert from "node:assert/strict";
import { SiteInfo } from "../../../../api/gen/isthmus/v1/site.js";
import { infoOf } from "../../../../registry/federation/site.js";
import { authority } from "../../../lib/certificates.js";
import { refused, serving } from "../site.js";
import { namesIn, Sites } from "./world.js";

describe("a joined site that means harm", () => {
  let sites: Sites;
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo", "lima");
    await sites.joinAll();
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  it("cannot fill our memory with endpoints that never end, and others are answered for", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await lima.serve("echo-2", "echo");
    let given = 0;
    let open = 0;
    tokyo.federated.endpoints.find = async function* () {
      open++;
      try {
        for (;;) {
          given++;
          yield { value: serving(`echo-${given}`, "echo", { bulk: "x".repeat(8_000) }), deleted: false };
          // As a network would, now and then.
          if (given % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
          if (given > 50_000) throw new Error("paris takes everything");
        }
      } finally {
        open--;
      }
    };
    await using watch = paris.watch("echo");
    await sites.until("paris has had enough", 5_000, () => given > 4_000 && open === 0);
    assert.ok(paris.federated.federation.endpoints.size < 5_000);
    await sites.until("lima's is there", 1_000, () => namesIn(watch).includes("echo-2@lima"));
    assert.deepEqual(await paris.find("echo@lima"), ["echo-2@lima"]);
    await paris.leave("tokyo");
    await sites.until("all is forgotten", 1_000, () => namesIn(watch).join() === "echo-2@lima");
  });

  it("is not heard about what it was not asked for", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    tokyo.federated.endpoints.find = async function* () {
      yield { value: serving("pay-1", "payments"), deleted: false };
      yield { value: serving("echo-1", "echo"), deleted: false };
      await new Promise(() => {});
    };
    await using watch = paris.watch("echo");
    await sites.until("it is seen", 1_000, () => namesIn(watch).length === 1);
    assert.deepEqual(paris.federated.federation.endpoints.names(), ["echo-1@tokyo"]);
  });

  it("cannot make us write without end by saying ever new things of itself", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    const more = await Promise.all([authority(sites.clock.now()), authority(sites.clock.now())]);
    tokyo.federated.api.follow = async function* () {
      for (let said = 0; said < 1_000; said++) {
        const { certificate } = more[said % 2] ?? assert.fail();
        yield infoOf({ ...tokyo.says(), bundle: [...tokyo.bundle, certificate] });
      }
      for (;;) {
        yield SiteInfo.fromPartial({});
        await new Promise((resolve) => setImmediate(resolve));
      }
    };
    let writes = 0;
    const commit = paris.store.commit.bind(paris.store);
    paris.store.commit = (transaction) => {
      writes++;
      return commit(transaction);
    };
    tokyo.cut();
    tokyo.answer();
    const start = sites.clock.now();
    await sites.until("it is back", 3_000, () => writes > 0);
    for (let turn = 0; turn < 500; turn++) await new Promise((resolve) => setImmediate(resolve));
    await sites.clock.advance(3_000);
    const seconds = (sites.clock.now() - start) / 1_000;
    assert.ok(writes <= seconds + 1, `${writes} writes in ${seconds} s`);
  });

  it("cannot have its registry looked for on a socket of our own machine", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    tokyo.says = () => ({
      ...{ name: "tokyo", trustDomain: "tokyo.test", registryId: tokyo.registryId, bundle: tokyo.bundle },
      urls: ["unix:///run/docker.sock"],
    });
    await tokyo.leave("paris");
    await paris.leave("tokyo");
    const token = await paris.invite();
    await refused("invalid", () => tokyo.join(token), /its registry is at unix:.*, where only its own machine reaches it/);
    assert.deepEqual(paris.states(), ["lima up"]);
  });
});
