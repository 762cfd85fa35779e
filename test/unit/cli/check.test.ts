import assert from "node:assert/strict";
import { netnsUrl, parseCidr, parseCidrs, parseDuration, parseInterface, parseIp, parseLabels, parseName } from "../../../cli/check.js";
import type { MeshError } from "../../../core/error.js";

const refused = (code: string, words: RegExp) => (error: MeshError) => error.code === code && words.test(error.message);

describe("what the command line takes", () => {
  it("labels", () => {
    assert.deepEqual(parseLabels(["a=b", "app.kubernetes.io/name=x-1", "empty="]), { a: "b", "app.kubernetes.io/name": "x-1", empty: "" });
  });

  for (const word of ["a", "=b", "a b=c", "a=b c", "a=-", "a=b=c", ""])
    it(`no label "${word}"`, () => assert.throws(() => parseLabels([word]), refused("invalid", /--label/)));

  it("no label twice", () => assert.throws(() => parseLabels(["a=1", "a=2"]), refused("invalid", /twice/)));

  for (const [text, expected] of [
    ["172.16.1.0/24", ["172.16.1.0/24"]],
    ["172.16.1.0/24,2001:db8:1::/112", ["172.16.1.0/24", "2001:db8:1::/112"]],
    ["2001:DB8:0:0::/64", ["2001:db8::/64"]],
    ["10.0.0.1/32", ["10.0.0.1/32"]],
  ] as const)
    it(`the range ${text}`, () => assert.deepEqual(parseCidrs(text), expected));

  for (const [text, words] of [
    ["172.16.1.0/33", /172\.16\.1\.0\/33/],
    ["172.16.1.0", /ADDRESS\/LENGTH/],
    ["172.16.1/24", /ADDRESS\/LENGTH/],
    ["172.16.1.0/24/1", /ADDRESS\/LENGTH/],
    ["2001:db8::/129", /2001:db8::\/129/],
    ["172.16.1.5/24", /172\.16\.1\.0\/24/],
    ["172.16.1.0/24,172.16.2.0/24", /one prefix per family/],
    ["", /ADDRESS\/LENGTH/],
  ] as const)
    it(`no range "${text}"`, () => assert.throws(() => parseCidrs(text), refused("invalid", words)));

  it("addresses", () => assert.deepEqual([parseIp("10.60.0.5", "--ip"), parseIp("FD60:0::5", "--ip")], ["10.60.0.5", "fd60::5"]));

  for (const text of ["10.60.0.5/32", "10.60.0", "fe80::1%eth0", ""])
    it(`no address "${text}"`, () => assert.throws(() => parseIp(text, "--ip"), refused("invalid", /--ip takes an address/)));

  it("prefixes by the name of their option", () => {
    assert.equal(parseCidr("192.168.10.0/24", "--announce"), "192.168.10.0/24");
    assert.throws(() => parseCidr("192.168.10.1/24", "--announce"), refused("invalid", /--announce.*192\.168\.10\.0\/24/));
  });

  it("interface names", () => assert.equal(parseInterface("nsm0"), "nsm0"));

  for (const [name, words] of [
    ["averylonginterface", /15.*averylonginterface.*18/],
    ["a/b", /a\/b/],
    ["", /name/],
    ["..", /name/],
    ["a b", /space/],
    ["a:b", /colon/],
  ] as const)
    it(`no interface "${name}"`, () => assert.throws(() => parseInterface(name), refused("invalid", words)));

  it("durations", () => {
    assert.deepEqual(
      ["500ms", "15s", "2m", "1h"].map((text) => parseDuration("--timeout", text)),
      [500, 15_000, 120_000, 3_600_000],
    );
  });

  for (const text of ["15", "0s", "-1s", "1d", "", "s"])
    it(`no duration "${text}"`, () => assert.throws(() => parseDuration("--timeout", text), refused("invalid", /--timeout/)));

  it("names", () => assert.equal(parseName("a service's name", "icmp@tokyo"), "icmp@tokyo"));

  for (const text of ["", "a b", "-a", "a/b", "x".repeat(254)])
    it(`no name "${text.slice(0, 9)}"`, () =>
      assert.throws(() => parseName("a service's name", text), refused("invalid", /a service's name/)));

  it("a process's network namespace", () => assert.equal(netnsUrl("/proc/self/ns/net"), "file:///proc/self/ns/net"));

  it("no namespace that is missing", () =>
    assert.throws(() => netnsUrl("/run/netns/nowhere"), refused("not-found", /\/run\/netns\/nowhere/)));
  it("no process that is missing", () => assert.throws(() => netnsUrl("/proc/4194305/ns/net"), refused("not-found", /4194305/)));
  it("no other file", () =>
    assert.throws(() => netnsUrl("/etc/hostname"), refused("not-found", /\/etc\/hostname is no network namespace/)));
  it("no namespace of another type", () =>
    assert.throws(() => netnsUrl("/proc/self/ns/mnt"), refused("not-found", /no network namespace/)));
});
