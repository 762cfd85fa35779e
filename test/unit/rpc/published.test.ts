import assert from "node:assert/strict";
import { publishedUrl } from "../../../rpc/published.js";

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
