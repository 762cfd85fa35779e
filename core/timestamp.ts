import type { Timestamp } from "../api/gen/google/protobuf/timestamp.js";

/** Milliseconds since 1970 as a protobuf timestamp. */
export function toTimestamp(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** A protobuf timestamp as milliseconds since 1970. */
export function fromTimestamp(timestamp: Timestamp): number {
  return timestamp.seconds * 1000 + timestamp.nanos / 1e6;
}
