import { networkInterfaces } from "node:os";
import { MeshError } from "../core/error.js";
import { formatUrl, hostAndPort, parseUrl } from "./url.js";

/**
 * The url under which others reach a program: the first tcp one it listens on, with an address of this node in place of "all addresses";
 * without a tcp one, the first. MeshError "invalid" where there is none that others could use.
 */
export function publishedUrl(listenOn: readonly string[], addresses: () => readonly string[] = ownAddresses): string {
  const urls = listenOn.map(parseUrl);
  const url = urls.find(({ kind }) => kind === "tcp") ?? urls[0];
  if (url === undefined) throw new MeshError("invalid", "NSM_LISTEN_ON is empty; give it a unix:// and a tcp:// url");
  if (url.kind === "unix") return formatUrl(url);
  if (url.port === 0) throw new MeshError("invalid", `NSM_LISTEN_ON has ${formatUrl(url)}, but others must know the port: name one`);
  if (url.host !== "" && url.host !== "0.0.0.0" && url.host !== "::") return formatUrl(url);
  const host = addresses()[0];
  if (host === undefined)
    throw new MeshError("invalid", `no address of this node is known for ${formatUrl(url)}; name one in NSM_LISTEN_ON`);
  return formatUrl({ ...url, host });
}

/** A published URL with where other sites reach the program: under another port only where one is named. */
export function withExternal(text: string, external: { readonly host: string; readonly port?: number | undefined } | "none"): string {
  const url = parseUrl(text);
  if (url.kind === "unix")
    throw new MeshError("invalid", `other sites reach a program by TCP only: name a tcp:// url beside ${text} in NSM_LISTEN_ON`);
  if (external === "none") return formatUrl({ ...url, external });
  const { host, port = url.port } = external;
  return formatUrl({ ...url, external: hostAndPort({ host, port }) });
}

/** Addresses that other nodes may reach, IPv4 first; the loopback where there is nothing else. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  const global = all.filter(({ internal, address }) => !internal && !address.startsWith("fe80:"));
  return [...global.filter(({ family }) => family === "IPv4"), ...global.filter(({ family }) => family === "IPv6"), ...all].map(
    ({ address }) => address,
  );
}
