import { isIPv6 } from "node:net";
import { MeshError } from "../core/error.js";

/** Where a program listens or is dialed. */
export type Url =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp" /** Without brackets; "" in `tcp://:5002` listens on all addresses. */;
      readonly host: string;
      readonly port: number;
    };

const allowed = "use unix:///path, tcp://host:port or tcp://[v6]:port";

/** Parses NSM's URLs. Throws MeshError "invalid" with the URL in it. */
export function parseUrl(text: string): Url {
  if (text.startsWith("unix://")) return parseUnix(text);
  const match = /^tcp:\/\/(\[([^\]]+)\]|[^:/[\]]*):(\d{1,5})$/.exec(text);
  if (match === null) throw new MeshError("invalid", `URL ${quote(text)} is not understood; ${allowed}`);
  const host = match[2] ?? match[1] ?? "";
  const port = Number(match[3]);
  if (port > 65_535) throw new MeshError("invalid", `port in URL ${quote(text)} must be 0..65535, got ${port}`);
  if (match[2] !== undefined && !isIPv6(host.replace(/%.*$/, "")))
    throw new MeshError("invalid", `${quote(host)} in URL ${quote(text)} is no IPv6 address`);
  return { kind: "tcp", host, port };
}

function parseUnix(text: string): Url {
  const path = text.slice("unix://".length);
  if (!path.startsWith("/") || path.includes("\0"))
    throw new MeshError("invalid", `URL ${quote(text)} needs an absolute path: unix:///path`);
  // The kernel's sun_path has 108 bytes, the last one zero; libuv truncates longer ones without a word.
  if (Buffer.byteLength(path) > 107)
    throw new MeshError("invalid", `socket path in ${quote(text)} is longer than 107 bytes; use a shorter folder`);
  return { kind: "unix", path };
}

/** The inverse of parseUrl. */
export function formatUrl(url: Url): string {
  if (url.kind === "unix") return `unix://${url.path}`;
  return `tcp://${url.host.includes(":") ? `[${url.host}]` : url.host}:${url.port}`;
}

/** What gRPC dials or binds. */
export function grpcTarget(url: Url): string {
  if (url.kind === "unix") return `unix:${url.path}`;
  if (url.host === "") return `[::]:${url.port}`;
  return url.host.includes(":") ? `[${url.host}]:${url.port}` : `${url.host}:${url.port}`;
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
