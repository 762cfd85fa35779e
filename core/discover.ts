import type { Connection } from "../api/gen/connection/connection.js";
import type { NetworkServiceEndpoint } from "../api/gen/registry/registry.js";
import { firstSuccess } from "./attempts.js";
import { background } from "./background.js";
import { candidatesFor, endpointNamed, mustBeCarried, mustCarry, mustServe, serviceNamed } from "./candidates.js";
import type { Call, Element, Handler } from "./chain.js";
import type { Clock } from "./clock.js";
import { afresh, deadline } from "./deadline.js";
import type { Directory } from "./directory.js";
import { asMeshError, isOver, MeshError } from "./error.js";
import type { Locality } from "./locality.js";
import type { Log } from "./log.js";
import { nextSegment, withoutNextSegments } from "./path.js";
import { order } from "./select.js";
import { RESELECT_REQUESTED, UP } from "./states.js";

/** How long an endpoint that a reselect leaves may take to let go. */
const farewell = 3000;
/** How long one candidate may take while there are others: one that hangs must not use up the caller's patience. */
const patience = 6000;

interface Parts {
  readonly directory: Directory;
  readonly locality: Locality;
  readonly load: (name: string) => number;
  readonly random: () => number;
  readonly log: Log;
  readonly clock: Clock;
  /** Where the chain dials: what a reselect leaves is closed here, so that this hop's own elements keep what they have. */
  readonly tail: Pick<Handler, "close">;
}

/**
 * Chooses the endpoint: the one that was named, or the best that matches, trying all. Sets target, endpoint name and payload.
 * A reselect forgets the endpoint (it goes last) and the path behind this hop, and closes the old one through `tail`,
 * in the background: it may well be dead.
 */
export function discover(parts: Parts): Element {
  const { directory, log } = parts;
  /** Where each connection's endpoint was found: a close must reach it also when the registry has forgotten it. */
  const targets = new Map<string, string>();

  const ask = async (call: Call, next: Handler, endpoint: NetworkServiceEndpoint): Promise<Connection> => {
    const connection = { ...call.connection, networkServiceEndpointName: endpoint.name };
    try {
      const conn = await next.request({ ...call, connection, target: endpoint.url });
      targets.set(conn.id, endpoint.url);
      log.debug("endpoint chosen", { connection: conn.id, endpoint: endpoint.name, target: endpoint.url });
      return conn;
    } catch (error) {
      throw theirsNotOurs(error, endpoint.name);
    }
  };
  const askNamed = async (call: Call, next: Handler): Promise<Connection> => {
    const endpoint = await endpointNamed(directory, call.connection.networkServiceEndpointName, call.signal);
    mustServe(endpoint, call.connection.networkService);
    const service = await directory.service(call.connection.networkService, call.signal);
    if (service !== undefined && !call.established) await mustBeCarried(directory, service, endpoint.name, call.signal);
    const payload = service?.payload || call.connection.payload;
    return ask({ ...call, connection: { ...call.connection, payload } }, next, endpoint);
  };
  const askBest = async (call: Call, next: Handler, avoid?: string): Promise<Connection> => {
    const { networkService } = call.connection;
    const service = await serviceNamed(directory, networkService, call.signal);
    // Later a service may come to carry something else, and the connection goes with it.
    if (!call.established) mustCarry(service, call.connection.payload);
    const candidates = await candidatesFor(directory, service, call.connection, call.signal);
    const distance = await parts.locality(
      candidates.map(({ endpoint }) => endpoint),
      call.signal,
    );
    const endpoints = order(candidates, { ...parts, distance, avoid });
    const payload = service.payload || call.connection.payload;
    const asked = { ...call, connection: { ...call.connection, payload, state: UP } };
    return firstSuccess({
      candidates: endpoints,
      what: JSON.stringify(networkService),
      name: ({ name }) => name,
      signal: call.signal,
      attempt: async (endpoint) => {
        if (endpoint === endpoints.at(-1)) return ask(asked, next, endpoint);
        const limited = deadline(parts.clock, patience, call.signal);
        try {
          return await ask({ ...asked, signal: limited.signal }, next, endpoint);
        } finally {
          limited[Symbol.dispose]();
        }
      },
    });
  };
  /** Only once there is something to go to: until then the old endpoint is better than none. */
  const reselect = async (call: Call, next: Handler): Promise<Connection> => {
    let left = false;
    const leaving: Handler = {
      request: (onward) => {
        if (!left) background(log, "closing at the endpoint that was left", leave(call), { connection: call.connection.id });
        left = true;
        return next.request(onward);
      },
      close: (onward) => next.close(onward),
    };
    const fresh = { ...call, connection: withoutNextSegments(call.connection) };
    return askBest(fresh, leaving, call.connection.networkServiceEndpointName);
  };
  /** A reselect for a connection that is new here: the hop before us has chosen, or an earlier run of this program had. */
  const askNamedFirst = async (call: Call, next: Handler): Promise<Connection> => {
    try {
      return await askNamed({ ...call, connection: { ...call.connection, state: UP } }, next);
    } catch (error) {
      if (call.signal.aborted) throw error;
      return askBest(call, next, call.connection.networkServiceEndpointName);
    }
  };
  const targetOf = async ({ connection, signal }: Call): Promise<string | undefined> => {
    const known = targets.get(connection.id);
    if (known !== undefined || connection.networkServiceEndpointName === "") return known;
    return (await directory.endpoint(connection.networkServiceEndpointName, signal).catch(() => undefined))?.url;
  };
  const leave = async (call: Call): Promise<void> => {
    if (nextSegment(call.connection) === undefined) return;
    const signal = afresh(farewell);
    const target = await targetOf({ ...call, signal });
    if (target !== undefined) await parts.tail.close({ ...call, preferences: [], target, signal });
  };

  return {
    name: "discover",
    async request(call, next) {
      if (call.target !== undefined) return next.request(call);
      const { networkServiceEndpointName: named, state } = call.connection;
      if (state === RESELECT_REQUESTED && call.established) return reselect(call, next);
      if (named === "") return askBest(call, next);
      return state === RESELECT_REQUESTED ? askNamedFirst(call, next) : askNamed(call, next);
    },
    async close(call, next) {
      const target = call.target ?? (await targetOf(call));
      targets.delete(call.connection.id);
      await next.close({ ...call, target });
    },
  };
}

/**
 * What is over at the other end (an error that has crossed a transport names its hop), as a namespace that is gone, is that endpoint's
 * trouble, and another one may do. Only the client's own means that there is nobody left to serve.
 */
function theirsNotOurs(thrown: unknown, endpoint: string): unknown {
  const error = asMeshError(thrown);
  if (!isOver(error) || error.hop === undefined) return thrown;
  return new MeshError("no-endpoint", `the endpoint ${JSON.stringify(endpoint)} is not there any more: ${error.message}`, {
    cause: error,
    hop: error.hop,
  });
}
