import { MeshError } from "../error.js";

/** What a member serves, as it is found in the segment's DNS. */
export interface SegmentService {
  /** A DNS label. */
  readonly name: string;
  /** Undefined: found by its name, but not by SRV. */
  readonly at: { readonly port: number; readonly protocol: "tcp" | "udp" } | undefined;
}

const words = "a name of at most 62 lower-case letters, digits and dashes, as `http`, with a port where it has one, as `http:8080/tcp`";

/** `http` or `http:8080/tcp`. Throws "invalid" with what was given and what is allowed. */
export function parseSegmentService(text: string): SegmentService {
  const [, name = "", digits, protocol] = /^([a-z0-9](?:[-a-z0-9]{0,60}[a-z0-9])?)(?::([1-9]\d{0,4})\/(tcp|udp))?$/.exec(text) ?? [];
  const port = Number(digits ?? 1);
  if (name === "" || port > 65_535) throw new MeshError("invalid", `a service of a member is ${words}; got ${JSON.stringify(text)}`);
  return { name, at: digits === undefined ? undefined : { port, protocol: protocol === "udp" ? "udp" : "tcp" } };
}
