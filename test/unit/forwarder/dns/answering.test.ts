import assert from "node:assert/strict";
import { type Answer, encode } from "dns-packet";
import fc from "fast-check";
import type { ask } from "../../../../forwarder/dns/upstream.js";
import { answering, answerTo, decoded, lines, member, question } from "../../../lib/dns.js";

const camera = member("camera", { addresses: ["10.60.0.5"] });
/** So many that they fit into no packet. */
const many = Array.from({ length: 100 }, (_, at) => member(`web-${at}`, { addresses: [`10.60.1.${at}`], services: ["http:80/tcp"] }));
const http = "http.factory.plant.mesh";
const a: Answer = { type: "A", name: "example.org", ttl: 60, data: "198.51.100.1" };

/** Others who give that answer to everything. */
const always =
  (...answers: Answer[]): typeof ask =>
  async (_upstream, _transport, message) =>
    answerTo(message, answers);

const never: typeof ask = (_upstream, _transport, _message, { signal }) =>
  new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

describe("an answer", () => {
  it("to a question about the segment is authoritative, and has its id and its question", async () => {
    const { udp } = answering({ members: [camera] });
    const told = decoded(await udp(question("CAMERA.factory.plant.mesh", "A", { id: 99 })));
    assert.deepEqual([told.id, told.flag_qr, told.flag_aa, told.flag_ra, told.flag_rd, told.flag_tc], [99, true, true, true, true, false]);
    assert.deepEqual(told.questions, [{ name: "CAMERA.factory.plant.mesh", type: "A", class: "IN" }]);
    assert.deepEqual(lines(told.answers), ["CAMERA.factory.plant.mesh A 10.60.0.5"]);
    assert.equal(told.additionals?.length, 0, "no EDNS for who does not speak it");
  });

  it("that is too large for a packet is empty and says so, and is whole over TCP", async () => {
    const { udp, tcp, answering: made } = answering({ members: many });
    for (const [size, limit] of [
      [undefined, 512],
      [600, 600],
      [65_000, 1_232],
      [100, 512],
    ] as const) {
      const bytes = await udp(question(http, "A", size === undefined ? {} : { size }));
      assert.ok(bytes !== undefined && bytes.length <= limit);
      assert.deepEqual([decoded(bytes).flag_tc, lines(decoded(bytes).answers)], [true, []]);
    }
    const whole = decoded(await tcp(question(http)));
    assert.deepEqual([whole.flag_tc, whole.answers.length], [false, 100]);
    assert.equal(made.stats().truncated, 4);
  });

  it("takes as much of a packet as the client says it takes", async () => {
    const { udp } = answering({ members: many.slice(0, 20) });
    assert.equal(decoded(await udp(question(http))).flag_tc, true);
    assert.equal(decoded(await udp(question(http, "A", { size: 1_232 }))).answers.length, 20);
  });

  it("has what fits where even TCP is too small", async () => {
    const all = Array.from({ length: 5_000 }, (_, at) =>
      member(`m${at}`, { addresses: [`10.60.${at >> 8}.${at & 255}`], services: ["all"] }),
    );
    const bytes = await answering({ members: all }).tcp(question("all.factory.plant.mesh"));
    assert.ok(bytes !== undefined && bytes.length <= 65_535);
    assert.ok(decoded(bytes).answers.length > 1_000);
  });

  it("speaks EDNS with who does, in version 0 only", async () => {
    const { udp } = answering({ members: [camera] });
    const opt = async (version: number) => {
      const told = decoded(await udp(question("camera.factory.plant.mesh", "A", { size: 1_232, version })));
      const found = told.additionals?.find((one) => one.type === "OPT") as { extendedRcode: number; udpPayloadSize: number } | undefined;
      return [told.answers.length, found?.extendedRcode, found?.udpPayloadSize];
    };
    assert.deepEqual(await opt(0), [1, 0, 1_232]);
    assert.deepEqual(await opt(1), [0, 1, 1_232], "BADVERS is 16: 1 of it in the record, 0 in the header");
  });

  for (const [what, bytes] of [
    ["a zone transfer", question("plant.mesh", "AXFR")],
    ["a zone transfer of another's", question("example.org", "AXFR")],
    ["another class", question("version.bind", "TXT", { class: "CH" })],
    ["an update", update()],
  ] as const)
    it(`refuses ${what}`, async () => {
      const { tcp, answering: made } = answering();
      const told = decoded(await tcp(bytes));
      assert.deepEqual([told.rcode, told.answers.length, told.id], ["REFUSED", 0, 7]);
      assert.equal(made.stats().refused, 1);
    });

  it("refuses a transfer of changes, which comes with a record", async () => {
    const soa: Answer = { type: "SOA", name: "plant.mesh", data: { mname: "plant.mesh", rname: "." } };
    const bytes = encode({ type: "query", id: 7, questions: [{ name: "plant.mesh", type: "IXFR" as "AXFR" }], authorities: [soa] });
    assert.equal(decoded(await answering().tcp(bytes)).rcode, "REFUSED");
  });

  it("does not know other operations", async () => {
    const bytes = question("plant.mesh");
    bytes.writeUInt16BE(4 << 11, 2);
    assert.equal(decoded(await answering().udp(bytes)).rcode, "NOTIMP");
  });
});

describe("a message that is no question", () => {
  const whole = question("camera.factory.plant.mesh", "A", { size: 1_232 });
  const changed = (change: (bytes: Buffer) => void) => {
    const bytes = Buffer.from(whole);
    change(bytes);
    return bytes;
  };
  for (const [what, bytes] of [
    ["nothing", Buffer.alloc(0)],
    ["half a header", whole.subarray(0, 11)],
    ["a header alone", whole.subarray(0, 12)],
    ["half a name", whole.subarray(0, 20)],
    ["half an option", whole.subarray(0, -3)],
    ["an answer", changed((bytes) => bytes.writeUInt16BE(0x8100, 2))],
    ["two questions", changed((bytes) => bytes.writeUInt16BE(2, 4))],
    ["no question", changed((bytes) => bytes.writeUInt16BE(0, 4))],
    ["a question with answers", changed((bytes) => bytes.writeUInt16BE(0xffff, 6))],
    ["a name that points to itself", changed((bytes) => bytes.writeUInt16BE(0xc00c, 12))],
    ["a dot within a label", changed((bytes) => bytes.write(".", 14))],
    ["bytes that are no text", changed((bytes) => bytes.writeUInt8(0xff, 14))],
  ] as const)
    it(`gets no answer: ${what}`, async () => {
      const { udp, answering: made } = answering({ members: [camera], ask: always(a) });
      assert.equal(await udp(bytes), undefined);
      assert.deepEqual([made.stats().malformed, made.stats().queries], [1, 1]);
    });

  it("never ends the program, whatever it is", async () => {
    const { tcp } = answering({ members: [camera], ask: always(a), limits: { clientRate: 1e9, rate: 1e9 } });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 64 }),
      fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) =>
        changed((copy) => {
          for (const [at, value] of changes) copy[at] = value;
        }),
      ),
    );
    await fc.assert(
      fc.asyncProperty(bytes, async (some) => {
        const answer = await tcp(Buffer.from(some));
        assert.ok(answer === undefined || answer.readUInt16BE(0) === Buffer.from(some).readUInt16BE(0));
      }),
      { numRuns: 2_000 },
    );
  });
});

describe("a question about others' names", () => {
  it("is asked of others, in the client's own words", async () => {
    const sent: Buffer[] = [];
    const { udp, answering: made } = answering({
      ask: async (_upstream, transport, message) => {
        assert.equal(transport, "udp");
        sent.push(message);
        return answerTo(message, [a]);
      },
    });
    const told = decoded(await udp(question("Example.org", "UNKNOWN_65", { id: 7, size: 4_096 })));
    assert.deepEqual([told.id, told.questions?.[0]?.name, lines(told.answers)], [7, "Example.org", ["example.org A 198.51.100.1"]]);
    const asked = decoded(sent[0]);
    assert.deepEqual(asked.questions, [{ name: "Example.org", type: "UNKNOWN_65", class: "IN" }]);
    assert.equal(asked.flag_rd, true);
    assert.deepEqual(
      asked.additionals?.map((one) => "udpPayloadSize" in one && one.udpPayloadSize),
      [1_232],
    );
    assert.deepEqual([made.stats().forwarded, made.stats().own, made.stats().outstanding], [1, 0, 0]);
  });

  it("is asked over TCP by who asked over TCP, and is not where it is of the segment", async () => {
    const used: string[] = [];
    const asked: typeof ask = async (_upstream, transport, message) => {
      used.push(transport);
      return answerTo(message, []);
    };
    const { tcp } = answering({ members: [camera], ask: asked });
    await tcp(question("example.org"));
    for (const name of ["nobody.factory.plant.mesh", "plant.mesh", "9.9.60.10.in-addr.arpa"]) await tcp(question(name));
    assert.deepEqual(used, ["tcp"]);
  });

  it("has its answer cut to what the client takes", async () => {
    const lots = Array.from({ length: 40 }, (_, at): Answer => ({ ...a, type: "A", data: `198.51.100.${at}` }));
    const { udp } = answering({ ask: always(...lots) });
    const [small, large] = [decoded(await udp(question("example.org"))), decoded(await udp(question("example.org", "A", { size: 1_232 })))];
    assert.deepEqual([small.flag_tc, small.answers.length, small.rcode], [true, 0, "NOERROR"]);
    assert.deepEqual([large.flag_tc, large.answers.length], [false, 40]);
  });

  it("is not answered by who answers something else", async () => {
    const wrong: ((message: Buffer) => Buffer)[] = [
      (message) => answerTo(question("example.com", "A", { id: message.readUInt16BE(0) }), [a]),
      (message) => answerTo(question("example.org", "AAAA", { id: message.readUInt16BE(0) }), [a]),
      (message) => answerTo(question("example.org", "A", { id: message.readUInt16BE(0) ^ 1 }), [a]),
      (message) => message,
      (message) => answerTo(message, [a]).subarray(0, 14),
    ];
    let believed = 0;
    const liar: typeof ask = async (_upstream, _transport, message, { wanted }) => {
      believed += wrong.filter((lie) => wanted(lie(message))).length;
      assert.equal(wanted(answerTo(message, [a])), true);
      assert.equal(wanted(Buffer.from(answerTo(message, [a]).toString("latin1").replace("example", "EXAMPLE"), "latin1")), true);
      return answerTo(message, [a]);
    };
    await answering({ ask: liar }).udp(question("example.org"));
    assert.equal(believed, 0);
  });

  it("has another id each time", async () => {
    const ids = new Set<number>();
    const { udp } = answering({
      ask: async (_upstream, _transport, message) => {
        ids.add(message.readUInt16BE(0));
        return answerTo(message, [a]);
      },
    });
    for (let at = 0; at < 20; at++) await udp(question("example.org", "A", { id: 7 }));
    assert.ok(ids.size > 15, `${ids.size} ids for 20 questions`);
  });
});

describe("others who do not answer", () => {
  const [first, second] = ["192.0.2.1", "192.0.2.2"];

  it("are passed over for the next, who is asked first from then on", async () => {
    const asked: string[] = [];
    const { udp, clock } = answering({
      ask: async (upstream, transport, message, options) => {
        asked.push(upstream.address);
        return upstream.address === first ? await never(upstream, transport, message, options) : answerTo(message, [a]);
      },
    });
    const answer = udp(question("example.org"));
    await clock.advance(1_499);
    assert.deepEqual(asked, [first]);
    await clock.advance(1);
    assert.equal(decoded(await answer).rcode, "NOERROR");
    await udp(question("example.org"));
    assert.deepEqual(asked, [first, second, second]);
  });

  it("are passed over at once where they refuse", async () => {
    const { udp } = answering({
      ask: async ({ address }, _transport, message) => answerTo(message, address === first ? [] : [a], address === first ? 2 : 0),
    });
    assert.deepEqual(lines(decoded(await udp(question("example.org"))).answers), ["example.org A 198.51.100.1"]);
  });

  it("are believed in the end where all of them refuse", async () => {
    let times = 0;
    const { udp } = answering({
      ask: async (_upstream, _transport, message) => {
        times++;
        return answerTo(message, [], 5);
      },
    });
    assert.equal(decoded(await udp(question("example.org"))).rcode, "REFUSED");
    assert.equal(times, 2);
  });

  it("are a failure after four and a half seconds, and leave no timer", async () => {
    const { udp, clock, answering: made } = answering({ ask: never });
    const answer = udp(question("example.org", "A", { size: 1_232 }));
    await clock.advance(4_499);
    assert.equal(made.stats().outstanding, 1);
    await clock.advance(1);
    const told = decoded(await answer);
    assert.deepEqual([told.rcode, told.flag_aa, told.id], ["SERVFAIL", false, 7]);
    assert.deepEqual([made.stats().failed, made.stats().outstanding, clock.pending], [1, 0, 0]);
  });
});

describe("who asks too much", () => {
  it("gets no answer above its rate, while others do, and again a moment later", async () => {
    const { from, clock, answering: made } = answering({ members: [camera], limits: { clientRate: 10 } });
    const ask = (client: string) => from(client)(question("camera.factory.plant.mesh"));
    const count = async (client: string, times: number) => {
      let answered = 0;
      for (let at = 0; at < times; at++) if ((await ask(client)) !== undefined) answered++;
      return answered;
    };
    assert.equal(await count("10.60.0.1", 30), 10);
    assert.equal(made.stats().limited, 20);
    assert.equal(await count("10.60.0.2", 5), 5);
    await clock.advance(500);
    assert.equal(await count("10.60.0.1", 30), 5);
  });

  it("takes no more than its part of what is asked of others", async () => {
    const { from, clock, answering: made } = answering({ ask: never, limits: { outstanding: 8 } });
    const open = (client: string, times: number) => Array.from({ length: times }, () => from(client)(question("example.org")));
    const greedy = open("10.60.0.1", 20);
    const others = [...open("10.60.0.2", 1), ...open("10.60.0.3", 1)];
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual([made.stats().outstanding, made.stats().limited], [6, 16], "half of 8 for the first, and one for each other");
    assert.equal(decoded(await greedy[19]).rcode, "SERVFAIL", "at once");
    await clock.advance(5_000);
    await Promise.all([...greedy, ...others]);
    assert.equal(made.stats().outstanding, 0);
  });
});

/** RFC 2136: the sections mean something else, and are as many as one likes. */
function update(): Buffer {
  const bytes = encode({ type: "query", id: 7, questions: [{ name: "plant.mesh", type: "SOA" }], authorities: [{ ...a }, { ...a }] });
  bytes.writeUInt16BE(5 << 11, 2);
  return bytes;
}
