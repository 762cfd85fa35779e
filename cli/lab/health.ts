import type { Clock } from "../../core/clock.js";
import { MeshError } from "../../core/error.js";
import { type Session, withPeers } from "../session.js";
import { isHealthy } from "./etcd.js";
import { nodeFiles } from "./files.js";
import { isAlive } from "./process.js";
import { lastLines } from "./programs.js";
import { needLab, type ProgramRecord } from "./record.js";
import { isEtcd } from "./stores.js";

const pollMs = 20;

/** How, and how long, to wait. */
export interface Wait {
  readonly prefix: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly withinMs: number;
}

/** Resolves when all of them serve. Names the one that does not, with its last log lines. */
export async function waitHealthy(programs: readonly ProgramRecord[], wait: Wait, step: (text: string) => void): Promise<void> {
  await waitAll(
    programs,
    wait,
    (one) => `waiting for ${one.program} of ${one.node}`,
    step,
    (peers, one) => serves(peers, wait, one),
  );
}

/** Resolves when every node with one of these forwarders has it in its registry. */
export async function waitRegistered(programs: readonly ProgramRecord[], wait: Wait, step: (text: string) => void): Promise<void> {
  const forwarders = programs.filter(({ program }) => program === "forwarder");
  await waitAll(
    forwarders,
    wait,
    ({ node }) => `waiting for ${node} to know its forwarder`,
    step,
    (peers, one) => isRegistered(peers, wait, one.node),
  );
}

async function waitAll(
  programs: readonly ProgramRecord[],
  wait: Wait,
  text: (one: ProgramRecord) => string,
  step: (text: string) => void,
  ready: (peers: Session, one: ProgramRecord) => Promise<boolean>,
): Promise<void> {
  await withPeers(wait.clock, async (peers) => {
    const end = wait.clock.monotonic() + wait.withinMs;
    for (const one of programs) {
      step(text(one));
      await waitFor(one, wait, end, () => ready(peers, one));
    }
  });
}

/** Whether a program answers that it serves. */
export async function serves(
  peers: Session,
  wait: Pick<Wait, "prefix" | "clock" | "signal">,
  { node, program }: Pick<ProgramRecord, "node" | "program">,
): Promise<boolean> {
  if (isEtcd(program)) return await isHealthy(needLab(wait.prefix), { node, program }, wait);
  return await peers.health(`unix://${nodeFiles(wait.prefix, node).admin(program)}`, wait.signal);
}

async function isRegistered(peers: Session, wait: Wait, node: string): Promise<boolean> {
  const socket = `unix://${nodeFiles(wait.prefix, node).nodeSocket}`;
  try {
    return (await peers.node(socket).listForwarders(wait.signal)).length > 0;
  } catch (error) {
    if (error instanceof MeshError && error.retryable) return false;
    throw error;
  }
}

async function waitFor(one: ProgramRecord, wait: Wait, end: number, ready: () => Promise<boolean>): Promise<void> {
  while (!(await ready())) {
    wait.signal.throwIfAborted();
    if (!isAlive(one)) throw failed(wait.prefix, one, "ended while it started");
    if (wait.clock.monotonic() > end) throw failed(wait.prefix, one, `is not ready after ${wait.withinMs / 1000} s`);
    await wait.clock.sleep(pollMs, wait.signal);
  }
}

function failed(prefix: string, one: ProgramRecord, what: string): MeshError {
  const lines = lastLines(prefix, one.node, one.program);
  const log = lines === "" ? "it logged nothing" : `its last log lines:\n    ${lines}`;
  return new MeshError("unreachable", `${one.program} of ${one.node} ${what}; ${log}`, { hop: `${one.program}-${one.node}` });
}
