import type { Connection, Path, PathSegment } from "../api/gen/connection/connection.js";
import type { Call, Element } from "./chain.js";
import { MeshError } from "./error.js";

/** More hops than any sane path has; a request that goes round in circles ends here. */
const longest = 64;

/**
 * Enters this hop into the path: its name, its own id for the connection, its index. The answer gets the caller's id and index back.
 * Refuses ("invalid") an index out of range, an id that is not that of the caller's segment, and ids that occur twice.
 */
export function updatePath(name: string, newId: () => string = () => crypto.randomUUID()): Element {
  const enter = (call: Call): Call => ({ ...call, ...arrive(call.connection, name, newId) });
  return {
    name: "updatePath",
    async request(call, next) {
      const answer = await next.request(enter(call));
      return leave(answer, call.connection.path?.index ?? 0);
    },
    close: (call, next) => next.close(enter(call)),
  };
}

function arrive(conn: Connection, name: string, newId: () => string): Pick<Call, "connection" | "established"> {
  const path = conn.path;
  if (path === undefined || path.pathSegments.length === 0) {
    const id = conn.id || newId();
    return { connection: { ...conn, id, path: { ...path, index: 0, pathSegments: [segment(name, id)] } }, established: false };
  }
  check(path);
  const caller = at(path, path.index);
  if (caller.name === name) return { connection: { ...conn, id: caller.id }, established: path.index + 1 < path.pathSegments.length };
  if (caller.id !== conn.id)
    throw new MeshError("invalid", `the connection's id ${quote(conn.id)} is not that of its path segment, ${quote(caller.id)}`);
  return step(conn, path, name, newId);
}

/** From the caller's segment to ours, which is there already in a refresh. */
function step(conn: Connection, path: Path, name: string, newId: () => string): Pick<Call, "connection" | "established"> {
  const index = path.index + 1;
  if (index >= longest)
    throw new MeshError("invalid", `the path has ${index} hops already, ${longest} at the most; does it go in circles?`);
  const known = path.pathSegments[index];
  if (known !== undefined && known.name === name && known.id !== "")
    return { connection: { ...conn, id: known.id, path: { ...path, index } }, established: true };
  const own = segment(name, newId());
  const pathSegments = [...path.pathSegments.slice(0, index), own, ...path.pathSegments.slice(index + 1)];
  return { connection: { ...conn, id: own.id, path: { ...path, index, pathSegments } }, established: false };
}

function leave(answer: Connection, index: number): Connection {
  if (answer.path === undefined) throw new MeshError("internal", "an element lost the connection's path");
  return { ...answer, id: at(answer.path, index).id, path: { ...answer.path, index } };
}

function check(path: Path): void {
  const { index, pathSegments } = path;
  if (!Number.isInteger(index) || index < 0 || index >= pathSegments.length)
    throw new MeshError("invalid", `path index ${index} is out of range: the path has ${pathSegments.length} segments`);
  const seen = new Set<string>();
  for (const { id } of pathSegments) {
    if (id !== "" && seen.has(id)) throw new MeshError("invalid", `the id ${quote(id)} is in the path twice; every hop needs its own`);
    seen.add(id);
  }
  if (at(path, index).id === "") throw new MeshError("invalid", `path segment ${index} has no id`);
}

function segment(name: string, id: string): PathSegment {
  return { name, id, token: "", expires: undefined, metrics: {} };
}

function at(path: Path, index: number): PathSegment {
  const found = path.pathSegments[index];
  if (found === undefined) throw new MeshError("invalid", `the path has no segment ${index}, only ${path.pathSegments.length}`);
  return found;
}

function quote(id: string): string {
  return JSON.stringify(id);
}

/** The segment of the hop that holds the connection. Throws "invalid" where the path does not have it. */
export function ownSegment(conn: Connection): PathSegment {
  return at(conn.path ?? { index: 0, pathSegments: [] }, conn.path?.index ?? 0);
}

/** The segment before the own one; undefined where the path starts here. */
export function previousSegment(conn: Connection): PathSegment | undefined {
  return conn.path?.pathSegments[conn.path.index - 1];
}

/** The segment after the own one; undefined where the path ends here. */
export function nextSegment(conn: Connection): PathSegment | undefined {
  return conn.path?.pathSegments[conn.path.index + 1];
}

/** The segment where the path starts: the client's. Throws "invalid" where there is none. */
export function firstSegment(conn: Connection): PathSegment {
  return at(conn.path ?? { index: 0, pathSegments: [] }, 0);
}

/** The connection with `metrics` added to those of its own segment. */
export function withOwnMetrics(conn: Connection, metrics: Readonly<Record<string, string>>): Connection {
  const own = ownSegment(conn);
  return withOwnSegment(conn, { ...own, metrics: { ...own.metrics, ...metrics } });
}

/** The connection with its own segment replaced. */
export function withOwnSegment(conn: Connection, own: PathSegment): Connection {
  return withSegment(conn, conn.path?.index ?? 0, own);
}

/** The connection with one segment of its path replaced. */
export function withSegment(conn: Connection, index: number, replacement: PathSegment): Connection {
  const path = conn.path ?? { index: 0, pathSegments: [] };
  return { ...conn, path: { ...path, pathSegments: path.pathSegments.map((old, i) => (i === index ? replacement : old)) } };
}

/** The connection with nothing behind its own segment: whoever comes next gets a fresh id. */
export function withoutNextSegments(conn: Connection): Connection {
  const path = conn.path;
  return path === undefined ? conn : { ...conn, path: { ...path, pathSegments: path.pathSegments.slice(0, path.index + 1) } };
}
