import type { Timestamp } from "../api/gen/google/protobuf/timestamp.js";

/** Milliseconds since 1970; undefined where none is set. */
export function toMs(time: Timestamp | undefined): number | undefined {
  return time === undefined ? undefined : time.seconds * 1000 + Math.floor(time.nanos / 1e6);
}

export function fromMs(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanos: Math.round((ms - seconds * 1000) * 1e6) };
}
