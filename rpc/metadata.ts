import { Metadata } from "@grpc/grpc-js";
import { MeshError } from "../core/error.js";
import type { Headers } from "./transport.js";

/** gRPC's metadata as plain text values; binary ones are nobody's business here. A key that is there twice is refused when it is ours. */
export function readHeaders(metadata: Metadata): Headers {
  const headers: Record<string, string> = {};
  for (const key of Object.keys(metadata.getMap())) {
    const values = metadata.get(key);
    if (values.length > 1 && key.startsWith("nsm-client-token"))
      throw new MeshError("invalid", `metadata ${key} is there ${values.length} times; it must be there once`);
    const [value] = values;
    if (typeof value === "string") headers[key] = value;
  }
  return headers;
}

export function writeHeaders(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return metadata;
}
