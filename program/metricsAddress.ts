/**
 * Where each program shows its metrics unless it is told otherwise: on its own node only, and at a port of its own, so that all
 * programs of a node can. The forwarder's is NSM's.
 */
const ports: Readonly<Record<string, number>> = { forwarder: 8081, nsmgr: 8082, registry: 8083 };

/** HOST:PORT; "" for a program that shows none. */
export function metricsAddress(program: string): string {
  const port = ports[program.replace(/^nsm-/, "")];
  return port === undefined ? "" : `127.0.0.1:${port}`;
}
