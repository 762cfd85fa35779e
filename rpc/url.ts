import { isIPv6 } from "node:net";
import { MeshError } from "../core/error.js";

/** Where a program listens or is dialed. */
export type Url =
  | { readonly kind: "unix"; readonly path: string }
  | {
      readonly kind: "tcp" /** Without brackets; "" in `tcp://:5002` listens on all addresses. */;
      readonly host: string;
      readonly port: number;
      /** Whose program must answer there: `tcp://tokyo.example@host:port`. Without it that follows from who says the URL. */
      readonly trustDomain?: string;
      /** Where other sites reach it: `tcp://host:port?external=HOST:PORT`, or `none` where they do not. Without it at the same place. */
      readonly external?: string;
    };

const allowed = "use unix:///path, tcp://host:port or tcp://[v6]:port";
const form = /^tcp:\/\/(?:([a-z0-9._-]{1,255})@)?(\[([^\]]+)\]|[^@?:/[\]]*):(\d{1,5})(?:\?external=([A-Za-z0-9._:[\]-]{1,300}))?$/;

/** Parses NSM's URLs. Throws MeshError "invalid" with the URL in it. */
export function parseUrl(text: string): Url {
  if (text.startsWith("unix://")) return parseUnix(text);
  const match = form.exec(text);
  if (match === null) throw new MeshError("invalid", `URL ${quote(text)} is not understood; ${allowed}`);
  const [, trustDomain, name = "", v6, digits, external] = match;
  const host = v6 ?? name;
  const port = Number(digits);
  if (port > 65_535) throw new MeshError("invalid", `port in URL ${quote(text)} must be 0..65535, got ${port}`);
  if (v6 !== undefined && !isIPv6(host.replace(/%.*$/, "")))
    throw new MeshError("invalid", `${quote(host)} in URL ${quote(text)} is no IPv6 address`);
  return { kind: "tcp", host, port, ...(trustDomain && { trustDomain }), ...(external && { external }) };
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
  const { trustDomain, external } = url;
  const whose = trustDomain === undefined ? "" : `${trustDomain}@`;
  return `tcp://${whose}${hostAndPort(url)}${external === undefined ? "" : `?external=${external}`}`;
}

/** `192.0.2.1:5001` or `[2001:db8::1]:5001`. */
export function hostAndPort({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What gRPC dials or binds. */
export function grpcTarget(url: Url): string {
  if (url.kind === "unix") return `unix:${url.path}`;
  return url.host === "" ? `[::]:${url.port}` : hostAndPort(url);
}

function quote(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
