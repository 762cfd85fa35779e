import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { MeshError } from "../core/error.js";
import { formatUrl, parseUrl, type Url } from "./url.js";

/** A listening socket. `url` is what is really bound. */
export interface Listener {
  readonly url: string;
  /** Stops accepting; what was accepted lives on. */
  close(): void;
  /** Ends what was accepted, without a word to the other side. */
  cut(): void;
}

export interface ListenOptions {
  readonly onConnection: (socket: Socket) => void;
  /** Of a unix socket, from its first moment on. */
  readonly mode: number;
}

/** Listens at one URL. A socket file that a dead program left is replaced, one that answers is not. */
export async function listen(text: string, options: ListenOptions): Promise<Listener> {
  const url = parseUrl(text);
  if (url.kind === "unix") await clear(text, url.path);
  const sockets = new Set<Socket>();
  const server = createServer({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 10_000 }, (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
    options.onConnection(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => reject(refused(text, error)));
    server.once("listening", resolve);
    bind(server, url, options.mode);
  });
  return { url: bound(url, server), close: () => void server.close(), cut: () => sockets.forEach((socket) => void socket.destroy()) };
}

function bind(server: Server, url: Url, mode: number): void {
  if (url.kind === "tcp") {
    // Without a host Node takes both families where there are both.
    server.listen(url.host === "" ? { port: url.port, backlog: 1024 } : { host: url.host, port: url.port, backlog: 1024 });
    return;
  }
  // bind(2) happens inside listen(), so nothing else runs under this mask and nobody sees the socket with another mode.
  const before = process.umask(0o777 & ~mode);
  try {
    server.listen({ path: url.path, backlog: 1024 });
  } finally {
    process.umask(before);
  }
}

function bound(url: Url, server: Server): string {
  const address = server.address();
  return formatUrl(url.kind === "tcp" && typeof address === "object" && address !== null ? { ...url, port: address.port } : url);
}

async function clear(text: string, path: string): Promise<void> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket())
    throw new MeshError("exists", `cannot listen on ${text}: ${path} is there and is no socket; remove it or choose another path`);
  if (await answers(path))
    throw new MeshError("exists", `cannot listen on ${text}: another program answers there; stop it or choose another path`);
  unlinkSync(path);
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    // Refused: nobody is behind it. Anything else (a full queue, no permission) means that somebody is.
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code !== "ECONNREFUSED" && error.code !== "ENOENT"));
  });
}

function refused(text: string, error: NodeJS.ErrnoException): MeshError {
  const options = { cause: error };
  if (error.code === "EADDRINUSE")
    return new MeshError("exists", `cannot listen on ${text}: another program has that address; stop it or choose another`, options);
  if (error.code === "EADDRNOTAVAIL" || error.code === "ENOTFOUND")
    return new MeshError("invalid", `cannot listen on ${text}: this machine has no such address`, options);
  if (error.code === "EACCES" || error.code === "EPERM") return new MeshError("denied", `cannot listen on ${text}: not allowed`, options);
  return new MeshError("internal", `cannot listen on ${text}: ${error.message}`, options);
}
