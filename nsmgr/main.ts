#!/usr/bin/env -S node --max-semi-space-size=2
import { randomInt } from "node:crypto";
import { createTokenSource } from "../identity/token.js";
import { processKey } from "../program/key.js";
import { nodeId } from "../program/nodeId.js";
import { runProgram } from "../program/run.js";
import { openStore } from "../program/state.js";
import { Peers } from "../rpc/client.js";
import { serve } from "../rpc/server.js";
import { nsmgrSettings } from "./config.js";
import { realNamespaces } from "./namespaces.js";
import { startNsmgr } from "./nsmgr.js";
import { PrefixFile } from "./prefixFile.js";
import { publishedUrl } from "./published.js";
import { SocketFinder } from "./sockets.js";
import { Stack } from "./stack.js";

await runProgram("nsmgr", nsmgrSettings, async ({ config, log, clock, version }) => {
  await using started = new Stack();
  const id = nodeId(config.stateDir);
  const tokens = createTokenSource({
    ...{ subject: `spiffe://${config.site}/${id}/nsmgr`, key: processKey(), clock },
    lifetimeMs: config.maxTokenLifetime,
  });
  const store = started.use(openStore(config.stateDir));
  const prefixes = started.use(new PrefixFile({ path: config.excludedPrefixesFile, clock, log }));
  const peers = started.use(new Peers({ tokens, log, clock, dialTimeoutMs: config.dialTimeout }));
  const sockets = new SocketFinder();
  started.use(
    await startNsmgr({
      ...{ peers, tokens, store, clock, log, namespaces: realNamespaces },
      config: {
        ...config,
        nodeName: config.nodeName || config.name,
        nodeId: id,
        version,
        publishedUrl: publishedUrl(config.listenOn),
        endpointsUrl: `unix://${config.runDir}/endpoints.sock`,
        tokenLifetimeMs: config.maxTokenLifetime,
      },
      listen: async (urls, services) => await serve({ urls, services, log, hop: config.name }),
      excludedPrefixes: () => prefixes.prefixes,
      resolveUrl: (url) => sockets.resolve(url),
      random: () => randomInt(2 ** 32) / 2 ** 32,
    }),
  );
  return started.move();
});
