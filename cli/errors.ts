import { asMeshError, type ErrorCode, MeshError } from "../core/error.js";
import { plain } from "./plain.js";

const advice: Partial<Record<ErrorCode, string>> = {
  unreachable: "see which programs run with `nsmctl lab status`, or check the address",
  timeout: "try again with a longer --timeout, or see `nsmctl get forwarders` and `nsmctl get endpoints`",
  "no-endpoint": "see what is served with `nsmctl get services` and `nsmctl get endpoints`; a segment must have this site among its sites",
  "no-forwarder": "see this node's forwarders with `nsmctl get forwarders`",
  "no-mechanism": "leave --mechanism out, or name one that both nodes have",
  "netns-gone": "the pod is gone; make it again, then ask again",
  denied: "see what the site's policy says with `nsmctl policy get`; a socket that cannot be opened needs root",
  internal: "this is a mistake of ours; the programs' logs say more",
};

/** Words of the command line that are wrong in themselves: exit 2. */
export function usage(message: string): MeshError {
  return new MeshError("invalid", message);
}

/** 2 for wrong use, which no program has seen; 1 for everything that failed. */
export function exitCode(error: unknown): number {
  const known = asMeshError(error);
  return known.code === "invalid" && known.hop === undefined ? 2 : 1;
}

/** What failed, at which hop, and what to do, for standard error. */
export function explain(error: unknown): string {
  const known = asMeshError(error);
  const lines = [`nsmctl: ${known.message.split("\n").map(plain).join("\n")}`];
  if (known.hop !== undefined) lines.push(`  at: ${plain(known.hop)}`);
  const hint = known.message.includes("nsmctl ") ? undefined : advice[known.code];
  if (hint !== undefined) lines.push(`  do: ${hint}`);
  return `${lines.join("\n")}\n`;
}
