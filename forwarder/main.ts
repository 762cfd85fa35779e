#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=25
import { randomInt } from "node:crypto";
import path from "node:path";
import { announce } from "../kernel/announce.js";
import { ping } from "../kernel/icmp.js";
import { openMesh } from "../kernel/mesh.js";
import { openVxlanFilter } from "../kernel/nft.js";
import { probePathMtu } from "../kernel/pathmtu.js";
import { openKernel } from "../kernel/real.js";
import { vnisOnly } from "../kernel/vnis.js";
import { ensureKeyFile } from "../kernel/wireguard/keys.js";
import { detectWireguard, openWireguard } from "../kernel/wireguard/open.js";
import { outsideOf } from "../kernel/wireguard/outside.js";
import { openAuditLog } from "../program/audit.js";
import { openIdentity } from "../program/identity.js";
import { nodeId } from "../program/nodeId.js";
import { runProgram } from "../program/run.js";
import { openStore } from "../program/state.js";
import { domainOf } from "../rpc/abroad.js";
import { authorityClient } from "../rpc/authority.js";
import { Peers } from "../rpc/client.js";
import { followPolicy } from "../rpc/policyFollower.js";
import { serve } from "../rpc/server.js";
import { firstOfSegments } from "./claims.js";
import { settings } from "./config.js";
import { openResolver } from "./dns/resolver.js";
import { startForwarder } from "./forwarder.js";
import { ConnectionKeys } from "./mechanisms/keys.js";
import { realPods } from "./pods.js";
import { realSpaces } from "./segments/realSpaces.js";
import { Started } from "./started.js";
import { tunnelKeyClaim } from "./tunnel/address.js";
import { tunnelNode, tunnelVxlanPort } from "./tunnel/node.js";
import { findUnderlay } from "./underlay.js";

const probes = 4;
/** For an echo between two nodes that answer at all. */
const quick = { timeoutMs: 400, count: 2 };

await runProgram("nsm-forwarder", settings, async ({ config, log, clock, sinks, signal }) => {
  await using started = new Started();
  const keyFile = path.join(config.stateDir, "wireguard.key");
  const publicKey = ensureKeyFile(keyFile);
  const member = {
    program: "forwarder",
    authority: authorityClient(clock),
    claims: { [tunnelKeyClaim]: publicKey },
    clock,
    log,
    signal,
  } as const;
  const { identity, roles } = started.use(await openIdentity(config, member));
  const store = started.use(openStore(path.join(config.stateDir, "store")));
  const underlay = { ...findUnderlay(config.tunnelIp, detectWireguard()), external: config.externalAddress };

  const mesh = openMesh(config.mesh);
  const wireguard = started.use(openWireguard({ mesh: mesh.path, clock, log, logDir: path.join(config.stateDir, "wireguard-go") }));
  const filter = started.use(openVxlanFilter(mesh.path, { port: tunnelVxlanPort }));
  const connectionsOnly = vnisOnly(filter, (vni) => vni < firstOfSegments);
  const kernel = started.use(await openKernel({ mesh: config.mesh, clock, log, wireguard, filter: connectionsOnly }));

  const own = { id: identity.id, node: nodeId(config.stateDir) };
  const tunnel = tunnelNode({ ...own, keyFile, publicKey, listenPort: config.wireguardPort, underlay });
  // What is here is an endpoint, or nsmgr; what is elsewhere is reached through its nsmgr: the URL says of which site.
  const expect = (url: string) =>
    url === config.connectTo ? roles.nsmgr : url.startsWith("tcp:") ? roles.remote(domainOf(url)) : roles.endpoint;
  const peers = started.use(new Peers({ identity, expect, log, clock, dialTimeoutMs: config.dialTimeout }));
  const audit = started.use(openAuditLog(config.auditLog || path.join(config.stateDir, "audit.log"), { clock, log }));
  const policy = started.use(followPolicy(peers, { from: [config.connectTo], stateDir: config.stateDir, identity, audit, clock, log }));
  started.use(
    await startForwarder({
      ...{ kernel, pods: realPods, tunnel, underlay, store, identity, policy, audit, peers, clock, log, sinks },
      config: {
        ...config,
        node: config.nodeName || config.name,
        vxlanPort: config.vxlanPort || 4789,
        tokenLifetimeMs: config.maxTokenLifetime,
      },
      openNames: ({ netns, addresses, zone }) =>
        openResolver({ netns, addresses: addresses.map((address) => ({ address })), zone, upstreams: config.dnsUpstreams, clock, log }),
      spaces: realSpaces({ mesh, meshName: config.mesh, filter, clock, log }),
      keys: new ConnectionKeys(path.join(config.stateDir, "connections")),
      link: {
        status: (device) => wireguard.status(device),
        reaches: (destination, signal) => ping(mesh, { source: tunnel.address, destination, ...quick, clock, signal }),
        pathMtu: async (destination, expected, signal) => {
          const outside = await outsideOf(wireguard, tunnel.device, destination);
          return await probePathMtu(mesh, { source: tunnel.address, destination, expected, outside, clock, signal });
        },
      },
      ping: (from, device, source, destination, timeoutMs, signal) =>
        ping(from, { device, source, destination, timeoutMs, count: probes, clock, signal }),
      announce: ({ pod, name }, addresses) => announce(pod, name, addresses),
      listen: async (urls, services) =>
        await serve({ urls: [...urls], services, identity, log, hop: config.name, timing: { ...sinks, clock } }),
      random: () => randomInt(2 ** 32) / 2 ** 32,
    }),
  );
  started.use(await serve({ urls: [config.adminSocket], services: {}, log, hop: config.name }));
  return started.move();
});
