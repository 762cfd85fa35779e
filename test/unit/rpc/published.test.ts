import assert from "node:assert/strict";
import { urlAbroad, urlFromAbroad } from "../../../rpc/abroad.js";
import { publishedUrl, withExternal } from "../../../rpc/published.js";

describe("the published url", () => {
  const cases: readonly [listenOn: string[], addresses: string[], published: string][] = [
    [["unix:///a.sock", "tcp://10.0.0.1:5001"], [], "tcp://10.0.0.1:5001"],
    [["tcp://[fd00::1]:5001"], [], "tcp://[fd00::1]:5001"],
    [["unix:///a.sock", "tcp://:5001"], ["192.0.2.1", "fd00::1"], "tcp://192.0.2.1:5001"],
    [["tcp://0.0.0.0:5001"], ["fd00::1"], "tcp://[fd00::1]:5001"],
    [["unix:///a.sock"], [], "unix:///a.sock"],
  ];
  for (const [listenOn, addresses, published] of cases)
    it(`of ${listenOn.join(" and ")} is ${published}`, () =>
      assert.equal(
        publishedUrl(listenOn, () => addresses),
        published,
      ));

  it("cannot be one with a port that nobody knows", () => {
    assert.throws(() => publishedUrl(["tcp://10.0.0.1:0"]), { code: "invalid", message: /name one/ });
    assert.throws(() => publishedUrl([]), { code: "invalid" });
  });
});

describe("the url for other sites", () => {
  const inside = "tcp://10.0.0.1:5001";

  const cases: readonly [external: Parameters<typeof withExternal>[1], published: string, abroad: string | undefined][] = [
    [{ host: "198.51.100.1" }, `${inside}?external=198.51.100.1:5001`, "tcp://198.51.100.1:5001"],
    [{ host: "2001:db8::1", port: 443 }, `${inside}?external=[2001:db8::1]:443`, "tcp://[2001:db8::1]:443"],
    ["none", `${inside}?external=none`, undefined],
  ];
  for (const [external, published, abroad] of cases)
    it(`is ${abroad ?? "nothing"} where the node says ${JSON.stringify(external)}`, () => {
      assert.equal(withExternal(inside, external), published);
      assert.equal(urlAbroad(published), abroad);
    });

  it("is the node's own where it says nothing, and says nothing of whose it is", () => {
    assert.equal(urlAbroad(inside), inside);
    assert.equal(urlAbroad("tcp://paris@10.0.0.1:5001"), inside);
    assert.equal(urlAbroad("unix:///run/a.sock"), "unix:///run/a.sock");
    assert.equal(urlAbroad("tcp://10.0.0.1"), undefined);
  });

  it("names the site whose it must be once it is there, whatever it said before", () => {
    for (const said of [inside, "tcp://lima@10.0.0.1:5001", `${inside}?external=none`])
      assert.equal(urlFromAbroad(said, "tokyo"), "tcp://tokyo@10.0.0.1:5001");
    for (const bad of ["unix:///run/a.sock", "tcp://10.0.0.1", "inode://4/77"]) assert.equal(urlFromAbroad(bad, "tokyo"), undefined);
  });

  it("cannot be given to a program without TCP", () => {
    assert.throws(() => withExternal("unix:///a.sock", { host: "198.51.100.1" }), { code: "invalid", message: /name a tcp:\/\/ url/ });
  });
});
