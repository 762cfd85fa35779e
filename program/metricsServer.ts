import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { asMeshError } from "../core/error.js";
import type { Log } from "../core/log.js";
import type { PrometheusMeter } from "./meter.js";
import type { HostPort } from "./values.js";

/**
 * Serves the meter at /metrics. That its address is taken is said in the log and no reason for a program not to work: what it shows
 * there is worth less than what it does.
 */
export async function serveMetrics(meter: PrometheusMeter, at: HostPort, log: Log): Promise<AsyncDisposable> {
  const server = createServer({ requestTimeout: 5_000, headersTimeout: 5_000, keepAliveTimeout: 5_000 }, (request, response) => {
    void answer(meter, request, response, log);
  });
  server.maxConnections = 16;
  const failure = await new Promise<Error | undefined>((resolve) => {
    server.once("error", resolve);
    server.listen(at.port, at.host, () => resolve(undefined));
  });
  if (failure !== undefined) log.warn("metrics not served", { address: at.text, reason: failure.message });
  return {
    async [Symbol.asyncDispose]() {
      server.close();
      server.closeAllConnections();
    },
  };
}

async function answer(meter: PrometheusMeter, request: IncomingMessage, response: ServerResponse, log: Log): Promise<void> {
  if (request.method !== "GET" || request.url?.split("?")[0] !== "/metrics") {
    response.writeHead(404, { "content-type": "text/plain" }).end("only GET /metrics is served here\n");
    return;
  }
  try {
    const text = await meter.text();
    response.writeHead(200, { "content-type": meter.contentType }).end(text);
  } catch (error) {
    log.warn("metrics not read", { reason: asMeshError(error).message });
    response.writeHead(500, { "content-type": "text/plain" }).end("the metrics could not be read; the log says why\n");
  }
}
