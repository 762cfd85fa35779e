import fs from "node:fs";
import type { Clock } from "../../core/clock.js";
import type { Log } from "../../core/log.js";
import { within } from "../netns.js";

const setting = "/proc/sys/net/ipv4/ip_no_pmtu_disc";
const pollMs = 5;

/**
 * Lets a program open its IPv4 UDP socket without "don't fragment": the setting of the node's namespace counts at the moment
 * a socket is opened, so it is changed for that moment only. Several may overlap; the last one out puts it back.
 */
export class Fragmenting {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #node: string;
  #users = 0;
  #before = "0";

  constructor(parts: { clock: Clock; log: Log; node: string }) {
    this.#clock = parts.clock;
    this.#log = parts.log;
    this.#node = parts.node;
  }

  /** Runs `task`, and waits until something is bound to the UDP port, for at most `patienceMs`. */
  async whileOpening(port: number, patienceMs: number, task: () => Promise<void>): Promise<void> {
    this.#enter();
    try {
      await task();
      await this.#bound(port, patienceMs);
    } finally {
      this.#leave();
    }
  }

  async #bound(port: number, patienceMs: number): Promise<void> {
    const { signal } = new AbortController();
    const end = this.#clock.monotonic() + patienceMs;
    while (!within(this.#node, () => isBound(port))) {
      if (this.#clock.monotonic() > end) return this.#log.warn("WireGuard's UDP port did not open", { port, afterMs: patienceMs });
      await this.#clock.sleep(pollMs, signal);
    }
  }

  #enter(): void {
    if (this.#users++ > 0) return;
    this.#before = within(this.#node, () => fs.readFileSync(setting, "utf8")).trim();
    this.#write("1");
  }

  #leave(): void {
    if (--this.#users === 0) this.#write(this.#before);
  }

  #write(value: string): void {
    try {
      within(this.#node, () => fs.writeFileSync(setting, value));
    } catch (error) {
      this.#log.warn("WireGuard packets will not be fragmented on the way", { setting, reason: String(error) });
    }
  }
}

/** Whether a UDP socket of the namespace of the moment is bound to the port. */
function isBound(port: number): boolean {
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return fs
    .readFileSync("/proc/thread-self/net/udp", "utf8")
    .split("\n")
    .some((line) => line.trim().split(/\s+/)[1]?.endsWith(suffix));
}
