import { Metadata } from "@grpc/grpc-js";
import type { Headers } from "./transport.js";

/** gRPC's metadata as plain text values; binary ones are nobody's business here. HTTP/2 joins a key that is there twice with a comma. */
export function readHeaders(metadata: Metadata): Headers {
  const headers: Record<string, string> = {};
  for (const key of Object.keys(metadata.getMap())) {
    const [value] = metadata.get(key);
    if (typeof value === "string") headers[key] = value;
  }
  return headers;
}

export function writeHeaders(headers: Headers): Metadata {
  const metadata = new Metadata();
  for (const [key, value] of Object.entries(headers)) metadata.set(key, value);
  return metadata;
}
