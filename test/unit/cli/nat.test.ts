import assert from "node:assert/strict";
import { environmentOf } from "../../../cli/lab/environment.js";
import { layout, parseSites } from "../../../cli/lab/layout.js";
import { natRules, outsideOf, registryOutside, withNat } from "../../../cli/lab/nat.js";
import type { LabRecord } from "../../../cli/lab/record.js";
import type { MeshError } from "../../../core/error.js";

const sites = parseSites("paris=1,tokyo=2,lima=1,osaka=1");
const plan = (text: string, underlay: 4 | 6 = 4) => layout("nsm", underlay, withNat(sites, text));

describe("sites of a lab behind routers", () => {
  for (const [text, words] of [
    ["", /--nat takes sites of --sites \(paris, tokyo, lima, osaka\), got ""/],
    ["rome", /got "rome"/],
    ["tokyo=half", /--nat tokyo takes open, control, closed, got "half"/],
    ["tokyo=closed,lima=closed", /tokyo and lima are closed/],
  ] as const)
    it(`refuses "${text}"`, () =>
      assert.throws(
        () => withNat(sites, text),
        (error: MeshError) => error.code === "invalid" && words.test(error.message),
      ));

  it("tell their programs where they are reached, as far as the router lets anybody in", () => {
    const lab = plan("tokyo=control,lima=closed,osaka");
    const told = lab.nodes.map((node) => {
      const outside = (["nsmgr", "forwarder"] as const).map((program) => outsideOf(lab, node, program).NSM_EXTERNAL_ADDRESS ?? "-");
      return `${node.name} ${outside.join(" ")}`;
    });
    assert.deepEqual(told, [
      "paris-1 - -",
      "tokyo-1 10.100.0.2:6001 none",
      "tokyo-2 10.100.0.2:6002 none",
      "lima-1 none none",
      "osaka-1 10.100.0.4:6001 10.100.0.4:52001",
    ]);
    assert.deepEqual(
      lab.sites.map((site) => registryOutside(site).NSM_FEDERATION_URLS),
      [undefined, "tcp://10.100.0.2:5002", undefined, "tcp://10.100.0.4:5002"],
    );
    const record = { ...lab, environment: {} } as unknown as LabRecord;
    const [, tokyo] = lab.nodes;
    assert.equal(tokyo && environmentOf(record, tokyo, "nsmgr").NSM_EXTERNAL_ADDRESS, "10.100.0.2:6001");
    assert.equal(tokyo && environmentOf(record, tokyo, "registry").NSM_FEDERATION_URLS, "tcp://10.100.0.2:5002");
  });

  it("with several registries have a port for each", () => {
    const [site] = layout("nsm", 4, [{ name: "tokyo", nodes: 3, registries: 2, nat: "open" }]).sites;
    assert.equal(registryOutside(site).NSM_FEDERATION_URLS, "tcp://10.100.0.1:5002,tcp://10.100.0.1:5003");
    const rules = natRules(layout("nsm", 4, [{ name: "tokyo", nodes: 3, registries: 2, nat: "open" }]));
    assert.match(rules, /tcp dport 5002 dnat ip to 10\.101\.0\.11:5002;.* tcp dport 5003 dnat ip to 10\.101\.0\.12:5002;/);
    assert.doesNotMatch(rules, /tcp dport 5004/);
  });

  it("are seen from outside at one address, and from nowhere else", () => {
    assert.equal(natRules(layout("nsm", 4, sites)), "");
    assert.equal(
      natRules(plan("lima=open", 6)),
      `table inet nat {
  chain in { type nat hook prerouting priority dstnat; ip6 daddr fd00:100::3 tcp dport 6001 dnat ip6 to [fd00:103::11]:5001; ip6 daddr fd00:100::3 tcp dport 5002 dnat ip6 to [fd00:103::11]:5002; ip6 daddr fd00:100::3 udp dport 52001 dnat ip6 to [fd00:103::11]:51820; }
  chain out { type nat hook postrouting priority srcnat; iifname "lan-lima" oifname != "lan-lima" snat ip6 to fd00:100::3 fully-random; }
  chain through { type filter hook forward priority filter; iifname != "lan-lima" oifname "lan-lima" ct state new ct status and dnat != dnat drop; }
}`,
    );
  });
});
