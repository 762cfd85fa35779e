import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { MemoryNetwork } from "../../../rpc/memory.js";
import { type RunningServer, serve } from "../../../rpc/server.js";
import { testIdentity } from "../../lib/identities.js";
import { clientId, serverId, type TransportWorld, transportSuite } from "../../suite/transport.js";

const client = () => testIdentity(clientId, systemClock);
const server = () => testIdentity(serverId, systemClock);
const expect = () => ({ matches: (id: string) => id === serverId, what: "the server" });

async function memory(): Promise<TransportWorld> {
  const network = new MemoryNetwork();
  const identity = await server();
  let count = 0;
  const peers = network.peers({ identity: await client(), clock: systemClock, expect });
  return {
    peers,
    secured: true,
    nowhere: "tcp://10.0.0.99:5001",
    async listen(services, options = {}) {
      const url = options.url ?? `tcp://10.0.0.1:${5001 + count++}`;
      const listening = network.listen(url, services, options.hop, identity);
      return { url, [Symbol.asyncDispose]: async () => listening[Symbol.dispose]() };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(peers[Symbol.asyncDispose]()),
  };
}

/** Real sockets; `address` makes a fresh URL to listen on in a folder of its own. */
function grpc(
  address: (folder: string, count: number) => string,
  nowhere: (folder: string) => string,
  secured = true,
): () => Promise<TransportWorld> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-"));
    const identity = secured ? await server() : undefined;
    const peers = new Peers({
      ...(secured && { identity: await client(), expect }),
      log: silent,
      clock: systemClock,
      dialTimeoutMs: 1_000,
    });
    const servers: RunningServer[] = [];
    let count = 0;
    return {
      peers,
      secured,
      nowhere: nowhere(folder),
      async listen(services, options = {}) {
        const urls = [options.url ?? address(folder, count++)];
        const running = await serve({ urls, services, identity, log: silent, hop: options.hop ?? "server", limits: { graceMs: 200 } });
        servers.push(running);
        return { url: running.urls[0] ?? "", [Symbol.asyncDispose]: () => Promise.resolve(running[Symbol.asyncDispose]()) };
      },
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        for (const running of servers) await running[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  };
}

transportSuite("memory", memory);
transportSuite(
  "unix without TLS",
  grpc(
    (folder, count) => `unix://${folder}/${count}.sock`,
    (folder) => `unix://${folder}/nobody.sock`,
    false,
  ),
);
transportSuite(
  "unix",
  grpc(
    (folder, count) => `unix://${folder}/${count}.sock`,
    (folder) => `unix://${folder}/nobody.sock`,
  ),
);
transportSuite(
  "tcp over IPv4",
  grpc(
    () => "tcp://127.0.0.1:0",
    () => "tcp://127.0.0.1:1",
  ),
);
transportSuite(
  "tcp over IPv6",
  grpc(
    () => "tcp://[::1]:0",
    () => "tcp://[::1]:1",
  ),
);
