import type { Connection } from "../api/gen/connection/connection.js";
import { background } from "../core/background.js";
import type { Element } from "../core/chain.js";
import type { Clock } from "../core/clock.js";
import { asMeshError } from "../core/error.js";
import type { DownReason } from "../core/follow.js";
import type { Log } from "../core/log.js";
import { ALIVE, DATAPATH, DEAD } from "../core/metrics.js";
import type { Monitor } from "../core/monitor.js";
import { withOwnMetrics } from "../core/path.js";
import { DOWN, UP } from "../core/states.js";
import type { Kernel, Netns } from "../kernel/model.js";
import { type Checked, checkedOf } from "./checked.js";
import type { CrossConnect } from "./crossConnect.js";
import type { Wanted } from "./wanted.js";

/** One ICMP check from a pod: whether any of a few requests is answered. */
export type Ping = (
  from: Netns,
  device: string,
  source: string,
  destination: string,
  timeoutMs: number,
  signal: AbortSignal,
) => Promise<boolean>;

export interface LivenessParts {
  readonly kernel: Pick<Kernel, "counters">;
  readonly ping: Ping;
  readonly wanted: Pick<Wanted, "get">;
  readonly monitor: Pick<Monitor, "get" | "update">;
  readonly clock: Clock;
  readonly log: Log;
}

const lookMs = 250;
/** A new one is asked as soon as the answer to its request is on its way. */
const firstAskMs = 10;
const pingMs = 500;
const timeoutMs = 1000;
/** How many are looked at at a time, and how many of these are pinged: thousands of idle connections take turns. */
const looksAtATime = 500;
const pingsAtATime = 12;
/** New ones, and those that share the way of one that died, do not wait for their turn. */
const urgentPingsAtATime = 50;

/**
 * Checks the data path of the connections whose client pod is here and has addresses: alive where traffic was received since the last
 * look, else asked by ICMP. One timer for all. What dies or comes back is published through the monitor.
 */
export class Liveness implements Disposable {
  readonly #parts: LivenessParts;
  /** In the order of their turns. */
  readonly #checked = new Map<string, Checked>();
  /** When a way was asked last, by the monotonic clock. */
  readonly #askedWays = new Map<string, number>();
  readonly #urgent = new Set<string>();
  readonly #stop = new AbortController();
  #timer: Disposable | undefined;
  #looking = false;

  constructor(parts: LivenessParts) {
    this.#parts = parts;
  }

  /** Sits outside of what makes the connection; an answer says that packets go through. */
  get element(): Element {
    return {
      name: "liveness",
      request: async (call, next) => {
        const conn = await next.request(call);
        const connect = this.#parts.wanted.get(conn.id)?.connect;
        if (connect === undefined || !this.add(connect)) return conn;
        if (!call.established) this.#parts.clock.after(firstAskMs, () => this.#askFirst(conn.id));
        return withOwnMetrics(conn, { [DATAPATH]: ALIVE });
      },
      close: async (call, next) => {
        this.#forget(call.connection.id);
        await next.close(call);
      },
    };
  }

  /** Whether the connection is one to check. What is known of the same way is kept. */
  add(connect: CrossConnect): boolean {
    const fresh = checkedOf(connect);
    if (fresh === undefined) {
      this.#forget(connect.id);
      return false;
    }
    const old = this.#checked.get(connect.id);
    const sameWay = old?.receives === fresh.receives && old.way === fresh.way && String(old.pairs) === String(fresh.pairs);
    if (!sameWay || old.dead) {
      this.#checked.set(connect.id, fresh);
      this.#urgent.add(connect.id);
    }
    this.#arm();
    return true;
  }

  /** For what a next hop says: looks at once, and adds what it saw. A connection that was closed at the next hop carries nothing. */
  async onDown(conn: Connection, reason: DownReason): Promise<Connection> {
    if (reason === "deleted") return withOwnMetrics(conn, { [DATAPATH]: DEAD });
    const checked = this.#checked.get(conn.id);
    if (checked === undefined) return conn;
    const alive = await this.#ping(checked).catch(() => true);
    checked.dead = !alive;
    return withOwnMetrics(conn, { [DATAPATH]: alive ? ALIVE : DEAD });
  }

  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#timer?.[Symbol.dispose]();
  }

  /** Only what has answered once can be found dead, and it may die before its first turn. */
  #askFirst(id: string): void {
    const checked = this.#checked.get(id);
    if (checked !== undefined) background(this.#parts.log, "checking a data path", this.#check(checked));
  }

  #forget(id: string): void {
    const checked = this.#checked.get(id);
    if (checked !== undefined) this.#askedWays.delete(checked.way);
    this.#checked.delete(id);
    this.#urgent.delete(id);
  }

  #arm(): void {
    if (this.#timer !== undefined || this.#stop.signal.aborted) return;
    this.#timer = this.#parts.clock.after(lookMs, () => {
      this.#timer = undefined;
      if (this.#checked.size === 0) return;
      this.#arm();
      if (!this.#looking) background(this.#parts.log, "looking at the data paths", this.#look());
    });
  }

  async #look(): Promise<void> {
    this.#looking = true;
    try {
      const { urgent, turn } = this.#nextTurn();
      const found = await this.#parts.kernel.counters(turn.map((checked) => checked.receives));
      const now = this.#parts.clock.monotonic();
      const silent = turn.filter((checked) => !this.#hasReceived(checked, found.get(checked.receives)?.rxPackets));
      const due = silent.filter((checked) => now - checked.askedAt >= pingMs);
      for (const checked of this.#chosen(due, urgent, now))
        background(this.#parts.log, "checking a data path", this.#check(checked), { connection: checked.id });
    } finally {
      this.#looking = false;
    }
  }

  #nextTurn(): { urgent: ReadonlySet<string>; turn: Checked[] } {
    const urgent = new Set(this.#urgent);
    this.#urgent.clear();
    const turn = new Set<Checked>();
    for (const id of [...urgent, ...this.#checked.keys()]) {
      if (turn.size === looksAtATime) break;
      const checked = this.#checked.get(id);
      if (checked !== undefined && checked.running === undefined) turn.add(checked);
    }
    for (const checked of turn) {
      this.#checked.delete(checked.id);
      this.#checked.set(checked.id, checked);
    }
    return { urgent, turn: [...turn] };
  }

  /** What is urgent, one for each way, and then as many as there is room for. */
  #chosen(due: readonly Checked[], urgent: ReadonlySet<string>, now: number): Checked[] {
    const first = due.filter(({ id }) => urgent.has(id));
    // Those that there is no room for are urgent next time too.
    for (const { id } of first.splice(urgentPingsAtATime)) this.#urgent.add(id);
    for (const { way } of first) this.#askedWays.set(way, now);
    const others = due.filter(({ id }) => !urgent.has(id));
    const ways = others.filter(({ way }) => this.#isTurnOf(way, now));
    return [...new Set([...first, ...ways, ...others.slice(0, Math.max(0, pingsAtATime - first.length - ways.length))])];
  }

  #isTurnOf(way: string, now: number): boolean {
    if (now - (this.#askedWays.get(way) ?? Number.NEGATIVE_INFINITY) < pingMs) return false;
    this.#askedWays.set(way, now);
    return true;
  }

  /** Beside the answers to our pings, which say nothing of the time after. */
  #hasReceived(checked: Checked, packets: number | undefined): boolean {
    const { received: before, own } = checked;
    checked.received = packets;
    checked.own = 0;
    if (before === undefined || packets === undefined || packets <= before + own) return false;
    this.#found(checked, true);
    return true;
  }

  async #check(checked: Checked): Promise<void> {
    const alive = await this.#ping(checked);
    if (alive) checked.own += checked.pairs.length;
    this.#found(checked, alive);
  }

  /** Any reply for each pair of addresses; at once for all who ask. */
  async #ping(checked: Checked): Promise<boolean> {
    const { pod, device, pairs } = checked;
    const one = ([source, destination]: readonly [string, string]) =>
      this.#parts.ping(pod, device, source, destination, timeoutMs, this.#stop.signal);
    if (checked.running === undefined) checked.askedAt = this.#parts.clock.monotonic();
    checked.running ??= Promise.all(pairs.map(one)).then((answers) => answers.every(Boolean));
    try {
      return await checked.running;
    } finally {
      checked.running = undefined;
    }
  }

  #found(checked: Checked, alive: boolean): void {
    if (this.#checked.get(checked.id) !== checked) return;
    checked.answered ||= alive;
    if (checked.dead === !alive || !checked.answered) return;
    checked.dead = !alive;
    this.#parts.log.info(alive ? "data path is back" : "data path is dead", { connection: checked.id });
    if (!alive) this.#suspect(checked);
    const conn = this.#parts.monitor.get(checked.id);
    if (conn === undefined) return;
    this.#parts.monitor.update({ ...withOwnMetrics(conn, { [DATAPATH]: alive ? ALIVE : DEAD }), state: alive ? UP : DOWN });
  }

  /** What shares the way with one that died is looked at first. */
  #suspect({ way }: Checked): void {
    for (const other of this.#checked.values()) if (other.way === way && !other.dead) this.#urgent.add(other.id);
  }
}

/** A ping that says nothing where the pod or its interface is not as it should be: that is for the data plane to find out. */
export function patientPing(ping: Ping, log: Log): Ping {
  return async (...args) => {
    try {
      return await ping(...args);
    } catch (error) {
      log.debug("data path not checked", { device: args[1], error: asMeshError(error).message });
      return true;
    }
  };
}
