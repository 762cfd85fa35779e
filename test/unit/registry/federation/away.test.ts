import assert from "node:assert/strict";
import { refused } from "../site.js";
import { namesIn, Sites } from "./world.js";

describe("a site that is away", () => {
  let sites: Sites;
  beforeEach(async () => {
    sites = await Sites.open("paris", "tokyo", "lima");
    await sites.joinAll();
  });
  afterEach(() => sites[Symbol.asyncDispose]());

  const isAway = () => sites.until("it is noticed", 5_000, () => sites.get(0).states().includes("tokyo away"));

  it("holds up no answer for what is here, nor for what others have", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    await paris.serve("echo-0", "echo");
    await lima.serve("web-2", "web");
    tokyo.cut();
    await isAway();
    const before = sites.clock.now();
    assert.deepEqual(await paris.find("echo"), ["echo-0"]);
    assert.deepEqual(await paris.find("web"), ["web-2@lima"]);
    assert.ok(sites.clock.now() - before < 300, `${sites.clock.now() - before} ms`);
  });

  it("is not waited for longer than a second before that is known", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    // It hangs: it takes calls and answers none.
    tokyo.federated.endpoints.find = async function* () {
      await new Promise(() => {});
    };
    tokyo.cut();
    tokyo.answer();
    await sites.until("it is back", 3_000, () => paris.states().includes("tokyo up"));
    const before = sites.clock.now();
    assert.deepEqual(await paris.find("nobody"), []);
    assert.ok(sites.clock.now() - before <= 1_100, `${sites.clock.now() - before} ms`);
  });

  it("is remembered as it was, and marked; both agree within 2 s of its return", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await tokyo.serve("echo-2", "echo");
    await using watch = paris.watch("echo");
    await sites.until("both are seen", 1_000, () => watch.shown.size === 2);
    tokyo.cut();
    await isAway();
    await sites.clock.advance(120_000);
    assert.deepEqual(namesIn(watch), ["echo-1@tokyo?", "echo-2@tokyo?"]);
    assert.deepEqual(await paris.find("echo@tokyo"), ["echo-1@tokyo?", "echo-2@tokyo?"]);
    await tokyo.unserve("echo-1");
    await tokyo.serve("echo-3", "echo");
    tokyo.answer();
    await sites.until("both agree", 2_000, () => namesIn(watch).join() === "echo-2@tokyo,echo-3@tokyo");
    assert.deepEqual(await paris.find("echo"), ["echo-2@tokyo", "echo-3@tokyo"]);
  });

  it("is asked for what was wanted meanwhile when it is back", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    tokyo.cut();
    await isAway();
    await using watch = paris.watch("echo");
    await sites.clock.advance(1_000);
    await tokyo.serve("echo-1", "echo");
    tokyo.answer();
    await sites.until("it is seen", 2_000, () => namesIn(watch).join() === "echo-1@tokyo");
  });

  it("is an error for who wants something of it that was never asked for", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    tokyo.cut();
    await isAway();
    await refused("unreachable", () => paris.find("echo@tokyo"), /the site tokyo does not answer, and nothing is known of that there: /);
    assert.deepEqual(await paris.find("echo"), []);
  });

  it("is reached again by all others at different moments", async () => {
    const [paris, tokyo, lima] = [sites.get(0), sites.get(1), sites.get(2)];
    tokyo.cut();
    await sites.until("both notice", 5_000, () => [paris, lima].every((site) => site.states().includes("tokyo away")));
    const dials: number[] = [];
    for (const site of [paris, lima]) {
      const { peers } = site.federated.federation;
      assert.match(
        peers.find(({ site: { name } }) => name === "tokyo")?.reason ?? "",
        /nothing answers at tcp:\/\/tokyo\.tokyo\.test:5002/,
      );
    }
    tokyo.answer();
    for (const site of [paris, lima])
      dials.push(await sites.until(`${site.name} is back`, 2_000, () => site.states().includes("tokyo up")));
    assert.ok(dials.every((ms) => ms <= 2_000));
  });

  it("that starts again knows its sites and is known by them", async () => {
    const [paris, tokyo] = [sites.get(0), sites.get(1)];
    await tokyo.serve("echo-1", "echo");
    await using watch = paris.watch("echo");
    await sites.until("it is seen", 1_000, () => watch.shown.size === 1);
    await tokyo.stop();
    await isAway();
    await tokyo.start();
    await sites.until("both are back", 2_000, () => paris.states().includes("tokyo up") && tokyo.states().includes("paris up"));
    await sites.until("it is fresh", 1_000, () => namesIn(watch).join() === "echo-1@tokyo");
  });
});
