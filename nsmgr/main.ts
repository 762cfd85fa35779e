#!/usr/bin/env -S node --max-semi-space-size=8 --heap-growing-percent=25
import { randomInt } from "node:crypto";
import { join } from "node:path";
import { openAuditLog } from "../program/audit.js";
import { openIdentity } from "../program/identity.js";
import { nodeId } from "../program/nodeId.js";
import { runProgram } from "../program/run.js";
import { openStore } from "../program/state.js";
import { authorityClient } from "../rpc/authority.js";
import { Peers } from "../rpc/client.js";
import { followPolicy } from "../rpc/policyFollower.js";
import { publishedUrl, withExternal } from "../rpc/published.js";
import { serve } from "../rpc/server.js";
import { nsmgrSettings } from "./config.js";
import { realNamespaces } from "./namespaces.js";
import { startNsmgr } from "./nsmgr.js";
import { PrefixFile } from "./prefixFile.js";
import { SocketFinder } from "./sockets.js";
import { Stack } from "./stack.js";

await runProgram("nsmgr", nsmgrSettings, async ({ config, log, clock, sinks, signal, version }) => {
  await using started = new Stack();
  const id = nodeId(config.stateDir);
  const authority = authorityClient(clock);
  const { identity, roles } = started.use(await openIdentity(config, { program: "nsmgr", authority, clock, log, signal }));
  const expect = (url: string) => (config.registryUrls.includes(url) ? roles.registry : roles.forwarder);
  const store = started.use(openStore(config.stateDir));
  const prefixes = started.use(new PrefixFile({ path: config.excludedPrefixesFile, clock, log }));
  const peers = started.use(new Peers({ identity, expect, log, clock, dialTimeoutMs: config.dialTimeout }));
  const sockets = new SocketFinder();
  const audit = started.use(openAuditLog(config.auditLog || join(config.stateDir, "audit.log"), { clock, log }));
  const policy = started.use(followPolicy(peers, { from: config.registryUrls, stateDir: config.stateDir, identity, audit, clock, log }));
  const inside = publishedUrl(config.listenOn);
  started.use(
    await startNsmgr({
      ...{ peers, identity, policy, audit, store, clock, log, sinks, namespaces: realNamespaces },
      config: {
        ...config,
        nodeName: config.nodeName || config.name,
        nodeId: id,
        version,
        publishedUrl: config.externalAddress === undefined ? inside : withExternal(inside, config.externalAddress),
        endpointsUrl: `unix://${config.runDir}/endpoints.sock`,
        tokenLifetimeMs: config.maxTokenLifetime,
      },
      listen: async (urls, services) =>
        await serve({
          urls,
          services,
          log,
          hop: config.name,
          timing: { ...sinks, clock },
          ...(services.node === undefined && { identity }),
        }),
      excludedPrefixes: () => prefixes.prefixes,
      resolveUrl: (url) => sockets.resolve(url),
      random: () => randomInt(2 ** 32) / 2 ** 32,
    }),
  );
  return started.move();
});
