import assert from "node:assert/strict";
import type { Lab } from "./lab.js";

/** What `ping` counted. */
export interface Pinged {
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
}

/** Reads the two counts out of ping's closing lines. */
export function parsePing(text: string): Pinged {
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(text);
  if (!counts) throw new Error(`this is not the end of a ping:\n${text}`);
  const [sent, received] = [Number(counts[1]), Number(counts[2])];
  return { sent, received, lost: sent - received };
}

/** The address of `172.16.1.2/32` without its prefix length. */
export function bare(cidr: string): string {
  return cidr.split("/", 1)[0] ?? cidr;
}

/** Three pings from a pod, all of which have to come back. */
export async function pingAll(lab: Lab, pod: string, addresses: readonly string[], ...options: string[]): Promise<void> {
  for (const address of addresses) {
    const done = await lab.tryExec(`pod-${pod}`, "ping", "-n", "-c", "3", "-i", "0.05", "-W", "2", ...options, bare(address));
    assert.equal(parsePing(done.stdout).lost, 0, `${pod} to ${address}:\n${done.stdout}${done.stderr}`);
  }
}
