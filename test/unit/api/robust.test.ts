import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Connection, ConnectionEvent } from "../../../api/gen/connection/connection.js";
import { NetworkServiceEndpoint } from "../../../api/gen/registry/registry.js";
import { MeshError } from "../../../core/error.js";
import { checkConnection, checkEvent } from "../../../rpc/checkConnection.js";
import { checkEndpoint } from "../../../rpc/checkRegistry.js";
import { codec } from "../../../rpc/codec.js";
import { entry, field, hex, number } from "./bytes.js";

const connections = codec("Connection", Connection, checkConnection);
const endpoints = codec("NetworkServiceEndpoint", NetworkServiceEndpoint, checkEndpoint);
const events = codec("ConnectionEvent", ConnectionEvent, checkEvent);
const bytesOf = (...parts: (readonly number[])[]) => Uint8Array.from(parts.flat());

describe("a message from outside", () => {
  it("keeps unknown fields at every depth through a round trip", () => {
    const unknown = [...field(1000, "from the future"), ...number(1001, 300)];
    const segment = [...field(1, "hop"), ...field(2, "id"), ...field(60, "in a segment")];
    const mechanism = [...field(1, "LOCAL"), ...field(2, "MEMIF"), ...field(40, "in a mechanism")];
    const bytes = bytesOf(field(1, "c1"), field(3, mechanism), field(6, field(2, segment)), unknown);
    assert.equal(hex(connections.encode(connections.decode(bytes))), hex(bytes));
  });

  it("keeps unknown values of an enum", () => {
    const bytes = bytesOf(field(1, "c1"), number(9, 77));
    assert.equal(connections.decode(bytes).state, 77);
    assert.equal(hex(connections.encode(connections.decode(bytes))), hex(bytes));
  });

  it("keeps unknown fields when a chain spreads a changed copy", () => {
    const decoded = connections.decode(bytesOf(field(1, "c1"), field(1000, "x")));
    assert.equal(hex(connections.encode({ ...decoded, id: "c2" })), hex(bytesOf(field(1, "c2"), field(1000, "x"))));
  });

  for (const key of ["__proto__", "constructor", "toString", "hasOwnProperty"])
    it(`does no harm with a label called ${key}`, () => {
      const decoded = connections.decode(bytesOf(field(1, "c1"), entry(5, key, "evil")));
      assert.equal(Object.getPrototypeOf(decoded.labels), Object.prototype);
      assert.equal(({} as Record<string, unknown>).evil, undefined);
      assert.equal(typeof {}.toString, "function");
    });

  it("is refused when a message hides under the key __proto__", () => {
    const evil = entry(2, "__proto__", field(1, "c1"));
    assert.throws(() => events.decode(bytesOf(evil)), {
      code: "invalid",
      message: "the event's connections has the key __proto__, which is not allowed",
    });
    assert.throws(() => endpoints.decode(bytesOf(entry(3, "__proto__", entry(1, "app", "b")))), { code: "invalid" });
  });

  const whole = bytesOf(
    field(1, "c1"),
    field(3, field(1, "LOCAL"), entry(3, "name", "nsm0")),
    field(6, number(1, 0), field(2, field(2, "id"))),
  );

  it("is refused, or means what its whole fields say, wherever it is cut off", () => {
    const ends = new Set([0, 4, 4 + 2 + 7 + 2 + 12, whole.length]);
    for (let length = 0; length <= whole.length; length++)
      if (ends.has(length)) connections.decode(whole.subarray(0, length));
      else
        assert.throws(() => connections.decode(whole.subarray(0, length)), {
          code: "invalid",
          message: /^a Connection of \d+ bytes is malformed/,
        });
  });

  const malformed: [string, readonly number[]][] = [
    ["a length beyond the end", [10, 100, 1]],
    ["a length that is negative", [10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1]],
    ["a varint that never ends", [72, ...Array.from({ length: 20 }, () => 255)]],
    ["the end of a group that never began", [12, 8]],
    ["a tag of zero", [0, 1]],
    ["a wire type that there is none of", [8 + 7]],
    [
      "ten thousand groups in each other",
      Array.from({ length: 10_000 }, () => 8 * 100 + 3).flatMap((tag) => [(tag % 128) + 128, tag >> 7]),
    ],
  ];
  for (const [what, bytes] of malformed)
    it(`is refused with ${what}`, () => {
      assert.throws(() => connections.decode(Uint8Array.from(bytes)), { code: "invalid" });
    });

  it("never makes anything but a message or a MeshError of any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          connections.decode(bytes);
        } catch (error) {
          assert.ok(error instanceof MeshError && error.code === "invalid", String(error));
        }
      }),
      { numRuns: 500 },
    );
  });

  it("comes back as it was sent, whatever texts are in it", () => {
    const texts = fc.dictionary(fc.string({ maxLength: 20, unit: "grapheme" }), fc.string({ maxLength: 50, unit: "grapheme" }), {
      noNullPrototype: true,
      maxKeys: 10,
    });
    fc.assert(
      fc.property(texts, fc.stringMatching(/^[ -~]{0,64}$/), (labels, id) => {
        const sent = Connection.fromPartial({ id, labels });
        assert.deepEqual(Connection.toJSON(connections.decode(connections.encode(sent))), Connection.toJSON(sent));
      }),
      { numRuns: 200 },
    );
  });
});
