import type { PolicyRoute } from "../api/gen/connectioncontext/connectioncontext.js";
import { MeshError } from "../core/error.js";
import type { Netns, Route, Rule } from "../kernel/model.js";
import type { Ports } from "../kernel/netlink/rule.js";
import { policyTable, tablesPerDevice } from "../kernel/policyTable.js";
import { isV6, parsePrefix, parseRoute } from "./addresses.js";
import type { NextHop, Policy } from "./crossConnect.js";

/** The main table's rule has 32766. Of two policies that both match, the later one counts, as with NSM. */
const firstPriority = 32_765;

/** `IPContext.policies`, parsed once; nothing where there are none. Throws "invalid" with the bad value. */
export function policiesOf(policies: readonly PolicyRoute[]): { readonly policies?: readonly Policy[] } {
  if (policies.length === 0) return {};
  if (policies.length > tablesPerDevice)
    throw new MeshError("invalid", `a connection may have ${tablesPerDevice} policy routes, the endpoint gave ${policies.length}`);
  return { policies: policies.map(parsePolicy) };
}

function parsePolicy({ from, proto, srcPort, dstPort, routes }: PolicyRoute): Policy {
  return {
    ...(from === "" ? {} : { from: parsePrefix(from) }),
    ...(proto === "" ? {} : { protocol: parseProtocol(proto) }),
    ...(srcPort === "" ? {} : { sourcePorts: parsePorts(srcPort) }),
    ...(dstPort === "" ? {} : { destinationPorts: parsePorts(dstPort) }),
    routes: routes.map(parseRoute),
  };
}

/** What policies are in the kernel of the client's pod: a table of its own for each, and the rule that leads there. */
export function policyObjects(
  policies: readonly Policy[],
  at: { readonly where: Netns; readonly device: string; readonly port: string },
  complete: (route: NextHop) => NextHop,
): (Rule | Route)[] {
  const { where, device, port } = at;
  return policies.flatMap((policy, n) => {
    const table = policyTable(port, n);
    const { routes: asked, ...selector } = policy;
    const routes = asked.length > 0 ? asked : [{ prefix: isV6(policy.from ?? "") ? "::/0" : "0.0.0.0/0" }];
    const families = new Set(policy.from === undefined ? routes.map(({ prefix }) => isV6(prefix)) : [isV6(policy.from)]);
    return [
      ...routes.map((route): Route => ({ kind: "route", where, device, table, ...complete(route) })),
      ...[...families].map((v6): Rule => {
        return { kind: "rule", where, device, family: v6 ? 6 : 4, table, priority: firstPriority - n, ...selector };
      }),
    ];
  });
}

function parseProtocol(text: string): number {
  const protocol = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (protocol >= 1 && protocol <= 255) return protocol;
  throw new MeshError(
    "invalid",
    `the proto of a policy route must be a number of 1..255, as 6 for TCP or 17 for UDP, got ${JSON.stringify(text)}`,
  );
}

function parsePorts(text: string): Ports {
  const [, first = "0", last = first] = /^(\d{1,5})(?:-(\d{1,5}))?$/.exec(text) ?? [];
  const ports = { first: Number(first), last: Number(last) };
  if (ports.first >= 1 && ports.first <= ports.last && ports.last <= 65_535) return ports;
  throw new MeshError(
    "invalid",
    `the ports of a policy route must be one of 1..65535 or a range as 8000-8999, got ${JSON.stringify(text)}`,
  );
}
