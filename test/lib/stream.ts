import type { Running } from "./command.js";
import type { Lab } from "./lab.js";
import { bare, type Pinged, parsePing } from "./ping.js";

/** A ping that runs beside the test and says afterwards what was lost and how long the longest silence was. */
export class PingStream implements AsyncDisposable {
  readonly #ping: Running;

  private constructor(ping: Running) {
    this.#ping = ping;
  }

  /** Resolves when the first answer is there. */
  static async start(
    lab: Lab,
    pod: string,
    address: string,
    options: { readonly everyMs?: number; readonly more?: readonly string[] } = {},
  ): Promise<PingStream> {
    const interval = String((options.everyMs ?? 10) / 1000);
    const ping = lab.spawn(`pod-${pod}`, "ping", "-n", "-D", "-i", interval, ...(options.more ?? []), bare(address));
    await ping.printed(/bytes from/);
    return new PingStream(ping);
  }

  /** Resolves when that many more answers have come; fails after 10 s. */
  answers(count: number): Promise<void> {
    return this.#ping.again("bytes from", count, 10_000);
  }

  /**
   * Waits for one more answer and ends the ping. `lost` are those without an answer that were sent before the last that has one: on a busy
   * machine some are on their way at any moment. `longestGapMs` is between two answers that follow one another.
   */
  async stop(): Promise<Pinged & { readonly longestGapMs: number }> {
    await this.answers(1);
    const { stdout } = await this.#ping.stop("SIGINT");
    const answers = [...stdout.matchAll(/^\[(\d+\.\d+)\] \d+ bytes from .* icmp_seq=(\d+)/gm)];
    const times = answers.map(([, time]) => Number(time) * 1000);
    const numbers = new Set(answers.map(([, , number]) => Number(number)));
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? time));
    return {
      sent: parsePing(stdout).sent,
      received: numbers.size,
      lost: Math.max(...numbers) - numbers.size,
      longestGapMs: Math.round(Math.max(0, ...gaps)),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#ping[Symbol.asyncDispose]();
  }
}
