import fs from "node:fs";
import path from "node:path";
import type { Clock } from "../../core/clock.js";
import { asMeshError, MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { within } from "../netns.js";
import type { DeviceChange, DeviceState } from "./config.js";
import type { Flavour } from "./flavour.js";
import type { MeshLinks } from "./links.js";
import { type Started, startWireguardGo } from "./spawn.js";
import { UapiConnection, uapiPath, uapiPid } from "./uapiConnection.js";
import { hasUdpSocket, tuneUdpSockets } from "./udpSockets.js";

const startTimeoutMs = 5_000;
const stopTimeoutMs = 2_000;
const pollMs = 5;
// wireguard-go looks once a second whether its device in another namespace is up.
const openPatienceMs = 1_500;

/** WireGuard by wireguard-go, one process a device. Processes are found by their control socket, never by their file. */
export class GoFlavour implements Flavour {
  readonly linkKind = "tun";
  readonly #links: MeshLinks;
  readonly #clock: Clock;
  readonly #logDir: string;
  readonly #node: string;
  readonly #log: Log;
  readonly #connections = new Map<string, UapiConnection>();
  #died: (name: string) => void = () => {};

  constructor(parts: { links: MeshLinks; node: string; clock: Clock; log: Log; logDir: string }) {
    this.#links = parts.links;
    this.#clock = parts.clock;
    this.#logDir = parts.logDir;
    this.#node = parts.node;
    this.#log = parts.log;
  }

  async create(name: string): Promise<void> {
    if ((await this.#connection(name)) === undefined) await this.#start(name);
    if (this.#links.find(name) === undefined && !this.#links.bringIn(name)) {
      this.#letGo(name);
      throw new MeshError("exists", `the name ${name} is taken by a wireguard-go of another namespace; choose another name for the device`);
    }
  }

  async destroy(name: string): Promise<void> {
    this.#letGo(name);
    // A device of this name that is in neither namespace is somebody else's.
    const pid = this.#links.has(name) ? uapiPid(name) : undefined;
    if (pid !== undefined) await this.#end(name, pid);
    this.#links.remove(name);
  }

  async get(name: string): Promise<DeviceState | undefined> {
    return await (await this.#connection(name))?.get();
  }

  async set(name: string, change: DeviceChange): Promise<void> {
    const connection = await this.#connection(name);
    if (connection === undefined) throw new MeshError("not-found", `there is no wireguard-go for the device ${name}`);
    await connection.set(change);
    if (change.listenPort !== undefined) await this.#tune(name, change.listenPort);
  }

  onDeath(listener: (name: string) => void): void {
    this.#died = listener;
  }

  /** The processes go on; they carry packets. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of [...this.#connections.keys()]) this.#letGo(name);
  }

  async #connection(name: string): Promise<UapiConnection | undefined> {
    const known = this.#connections.get(name);
    if (known !== undefined && !known.ended) return known;
    const made = await UapiConnection.connect(name, this.#clock);
    if (made === undefined) return undefined;
    this.#connections.set(name, made);
    made.onEnd(() => {
      if (this.#connections.get(name) !== made) return;
      this.#connections.delete(name);
      this.#died(name);
    });
    return made;
  }

  /** Once it has opened the port. A port that stays as it is after this run of ours stays tuned too. */
  async #tune(name: string, port: number): Promise<void> {
    const pid = uapiPid(name);
    if (pid === undefined) return;
    const late = await this.#until(async () => hasUdpSocket(pid, port), openPatienceMs);
    if (late !== undefined) return this.#log.warn("WireGuard's UDP port did not open", { device: name, port, reason: late });
    try {
      tuneUdpSockets(pid, port);
    } catch (error) {
      const reason = asMeshError(error, "kernel").message;
      this.#log.warn("WireGuard loses bursts and does not fragment: its sockets could not be tuned; allow CAP_SYS_PTRACE", {
        device: name,
        reason,
      });
    }
  }

  #letGo(name: string): void {
    const connection = this.#connections.get(name);
    this.#connections.delete(name);
    connection?.close();
  }

  async #start(name: string): Promise<void> {
    // Nobody answers there, or we were connected. A device without its socket cannot be told anything: it is made anew.
    fs.rmSync(uapiPath(name), { force: true });
    this.#links.remove(name);
    const started = within(this.#node, () => startWireguardGo(name, this.#logDir));
    const failure = await this.#until(async () => (await this.#connection(name)) !== undefined, startTimeoutMs, started);
    if (failure === undefined) return;
    const log = path.join(this.#logDir, `${name}.log`);
    throw new MeshError("kernel", `wireguard-go for ${name} did not start (${failure}); its log is ${log}`);
  }

  async #end(name: string, pid: number): Promise<void> {
    signalProcess(pid, "SIGTERM");
    if ((await this.#until(async () => uapiPid(name) === undefined && !exists(pid), stopTimeoutMs)) === undefined) return;
    signalProcess(pid, "SIGKILL");
    fs.rmSync(uapiPath(name), { force: true });
  }

  /** Undefined when `done`, else why it never was. */
  async #until(done: () => Promise<boolean>, patienceMs: number, started?: Started): Promise<string | undefined> {
    let over: string | undefined;
    void started?.ended.then((why) => {
      over = why;
    });
    const { signal } = new AbortController();
    const end = this.#clock.monotonic() + patienceMs;
    while (!(await done())) {
      if (over !== undefined) return over;
      if (this.#clock.monotonic() > end) return `no answer within ${patienceMs / 1000} s`;
      await this.#clock.sleep(pollMs, signal);
    }
    return undefined;
  }
}

function signalProcess(pid: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended in between.
  }
}

function exists(pid: number): boolean {
  // A zombie is our own child that was not reaped yet: it holds nothing any more.
  const state = (() => {
    try {
      return fs.readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.[0];
    } catch {
      return undefined;
    }
  })();
  return state !== undefined && state !== "Z";
}
