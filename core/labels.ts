import type { Element } from "./chain.js";

/** Adds what is known about the client (nodeName, podName, clusterName) to its labels, where it has not set them itself. */
export function clientInfo(labels: Readonly<Record<string, string>>): Element {
  return {
    name: "clientInfo",
    request: (call, next) =>
      next.request({ ...call, connection: { ...call.connection, labels: { ...labels, ...call.connection.labels } } }),
  };
}
