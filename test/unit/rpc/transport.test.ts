import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { silent } from "../../../core/log.js";
import { systemClock } from "../../../program/clock.js";
import { Peers } from "../../../rpc/client.js";
import { MemoryNetwork } from "../../../rpc/memory.js";
import { type RunningServer, serve } from "../../../rpc/server.js";
import { type TransportWorld, transportSuite } from "../../suite/transport.js";

const tokens = async () => ({ token: "a-token", expires: Date.parse("2030-01-01T00:00:00.500Z") });

function memory(): TransportWorld {
  const network = new MemoryNetwork();
  let count = 0;
  const peers = network.peers({ tokens });
  return {
    peers,
    nowhere: "tcp://10.0.0.99:5001",
    async listen(services, options = {}) {
      const url = options.url ?? `tcp://10.0.0.1:${5001 + count++}`;
      const listening = network.listen(url, services, options.hop);
      return { url, [Symbol.asyncDispose]: async () => listening[Symbol.dispose]() };
    },
    [Symbol.asyncDispose]: () => Promise.resolve(peers[Symbol.asyncDispose]()),
  };
}

/** Real sockets; `address` makes a fresh URL to listen on in a folder of its own. */
function grpc(address: (folder: string, count: number) => string, nowhere: (folder: string) => string): () => Promise<TransportWorld> {
  return async () => {
    const folder = mkdtempSync(join(tmpdir(), "isthmus-"));
    const peers = new Peers({ tokens, log: silent, clock: systemClock, dialTimeoutMs: 1_000 });
    const servers: RunningServer[] = [];
    let count = 0;
    return {
      peers,
      nowhere: nowhere(folder),
      async listen(services, options = {}) {
        const urls = [options.url ?? address(folder, count++)];
        const server = await serve({ urls, services, log: silent, hop: options.hop ?? "server", limits: { graceMs: 200 } });
        servers.push(server);
        return { url: server.urls[0] ?? "", [Symbol.asyncDispose]: () => Promise.resolve(server[Symbol.asyncDispose]()) };
      },
      async [Symbol.asyncDispose]() {
        await peers[Symbol.asyncDispose]();
        for (const server of servers) await server[Symbol.asyncDispose]();
        rmSync(folder, { recursive: true });
      },
    };
  };
}

transportSuite("memory", async () => memory());
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
