import assert from "node:assert/strict";
import { Connection } from "../../../../api/gen/connection/connection.js";
import { checkWishes, type JoinWishes, joinWishes, noWishes, wishContext } from "../../../../core/segment/wishes.js";

const all: JoinWishes = {
  addresses: ["10.60.0.5", "fd60::5"],
  sticky: "camera-1",
  announces: ["192.168.10.0/24", "fd99::/64"],
  services: ["http:80/tcp", "chat"],
  spoofing: true,
};

function asked(wishes: JoinWishes): Connection {
  const { extraContext, srcIpAddrs } = wishContext(wishes);
  return Connection.fromPartial({ context: { extraContext, ipContext: { srcIpAddrs } } });
}

describe("what a pod wants of a segment", () => {
  it("is understood as it was said", () => {
    for (const wishes of [all, noWishes, { ...noWishes, announces: ["10.0.0.0/8"] }]) assert.deepEqual(joinWishes(asked(wishes)), wishes);
    assert.deepEqual(joinWishes(Connection.fromPartial({})), noWishes);
  });

  it("travels in the context of the connection", () => {
    assert.deepEqual(wishContext(all), {
      extraContext: {
        "isthmus.sticky": "camera-1",
        "isthmus.announce": "192.168.10.0/24,fd99::/64",
        "isthmus.service": "http:80/tcp,chat",
        "isthmus.spoofing": "true",
      },
      srcIpAddrs: ["10.60.0.5/32", "fd60::5/128"],
    });
    assert.deepEqual(wishContext(noWishes), { extraContext: {}, srcIpAddrs: [] });
  });

  const wrong: readonly [what: string, wishes: Partial<JoinWishes>, message: RegExp][] = [
    ["an address that is none", { addresses: ["10.60.0"] }, /"10\.60\.0" is no IP address/],
    ["an address with a length", { addresses: ["10.60.0.5/24"] }, /10\.60\.0\.5; got 10\.60\.0\.5\/24/],
    ["an address in a longer form", { addresses: ["fd60:0::5"] }, /fd60::5; got fd60:0::5/],
    ["an address twice", { addresses: ["10.60.0.5", "10.60.0.5"] }, /10\.60\.0\.5 was given twice/],
    ["a prefix with host bits", { announces: ["10.0.0.1/8"] }, /10\.0\.0\.0\/8; got 10\.0\.0\.1\/8/],
    ["a prefix that is none", { announces: ["10.0.0.0/33"] }, /"10\.0\.0\.0\/33" is no address range/],
    ["a default route", { announces: ["0.0.0.0/0"] }, /larger than a \/8, and would be everybody's default route|0\.0\.0\.0\/8/],
    ["a part of a default route", { announces: ["2000::/3"] }, /cannot announce 2000::\/3: it is larger than a \/8/],
    ["a prefix that is everybody's own", { announces: ["169.254.169.254/32"] }, /169\.254\.0\.0\/16 is link-local/],
    ["a service that is none", { services: ["a b"] }, /got "a b"/],
    ["a sticky name with a comma", { sticky: "a,b" }, /got "a,b"/],
    ["too many prefixes", { announces: Array.from({ length: 33 }, (_, at) => `10.0.${at}.0/24`) }, /announced prefix; got 33/],
  ];
  for (const [what, wishes, message] of wrong)
    it(`is not ${what}`, () => assert.throws(() => checkWishes({ ...noWishes, ...wishes }), { code: "invalid", message }));

  it("is checked by who hears it too", () => {
    const conn = Connection.fromPartial({ context: { extraContext: { "isthmus.service": "x y" } } });
    assert.throws(() => joinWishes(conn), { code: "invalid" });
  });
});
