import type { Connection, ConnectionEvent } from "../api/gen/connection/connection.js";
import { background } from "./background.js";
import type { Call } from "./chain.js";
import { deadline } from "./deadline.js";
import { asMeshError, isOver, type MeshError } from "./error.js";
import { ownIn } from "./events.js";
import type { HealParts } from "./heal.js";
import { Listening } from "./listen.js";
import { isDataPathDead } from "./metrics.js";
import { ownSegment } from "./path.js";
import { DELETE, DOWN, INITIAL_STATE_TRANSFER, REFRESH_REQUESTED, RESELECT_REQUESTED } from "./states.js";

const firstPause = 100;
const longestPause = 2000;
/** How long one attempt may take. */
const patience = 15_000;

/** One connection under heal's eyes: hears what the next hop says of it, and asks again while it is down. */
export class Patient {
  readonly #parts: HealParts;
  readonly #conn: Connection;
  readonly #listening: Listening;
  #over = false;
  #healing = false;
  /** It came up by itself while we waited to try again. */
  #recovered = false;
  #reselect = false;
  #heals = 0;
  /** The attempt that runs, or the pause after it; ending it makes the loop look anew. */
  #step: AbortController | undefined;
  #pausing = false;

  constructor(parts: HealParts, conn: Connection) {
    this.#parts = parts;
    this.#conn = conn;
    const { name, id } = ownSegment(conn);
    this.#listening = new Listening(parts.clock, (listener) => parts.listen({ name, id }, listener), this);
  }

  stop(): void {
    this.#over = true;
    this.#listening[Symbol.dispose]();
    this.#step?.abort();
  }

  ended(error?: unknown): void {
    if (error !== undefined)
      this.#parts.log.debug("next hop's monitor lost", { connection: this.#conn.id, message: asMeshError(error).message });
    this.#isDown("the next hop does not answer", false);
  }

  hear(event: ConnectionEvent): void {
    const conn = ownIn(event, this.#conn);
    if (conn === undefined) {
      if (event.type === INITIAL_STATE_TRANSFER) this.#isDown("the next hop does not know the connection", false);
    } else if (event.type === DELETE) this.#isDown("the next hop closed the connection", true);
    else if (conn.state === DOWN) this.#isDown(isDataPathDead(conn) ? "no packets cross" : "a hop does not answer", isDataPathDead(conn));
    else if (conn.state === RESELECT_REQUESTED) this.#isDown("another endpoint was asked for", true);
    else if (conn.state === REFRESH_REQUESTED) this.#isDown("a refresh was asked for", false);
    else this.#isUp();
  }

  #isDown(reason: string, dead: boolean): void {
    const worse = dead && !this.#reselect;
    this.#reselect ||= dead;
    this.#recovered = false;
    if (!this.#healing) {
      this.#healing = true;
      background(this.#parts.log, "healing", this.#heal(reason), { connection: this.#conn.id });
    } else if (worse) this.#step?.abort();
  }

  /** Up again by itself. While an attempt runs it is that attempt's doing, and its result says more. */
  #isUp(): void {
    if (!this.#pausing) return;
    this.#recovered = true;
    this.#step?.abort();
  }

  async #heal(reason: string): Promise<void> {
    const { id } = this.#conn;
    this.#parts.log.info("healing", { connection: id, reason, reselect: this.#reselect });
    this.#notify(reason);
    let pause = firstPause;
    while (!this.#recovered && !this.#over) {
      const reselect = this.#reselect;
      const error = await this.#attempt(reselect);
      if (error !== undefined && isOver(error)) return this.#gone(error);
      const switched = this.#reselect !== reselect; // "dead" came meanwhile: even a success was not what is needed
      if (error === undefined && !switched) break;
      if (error !== undefined && !switched) await this.#rest(pause, error);
      pause = this.#reselect === reselect ? Math.min(2 * pause, longestPause) : firstPause;
    }
    if (!this.#over) this.#healed();
  }

  async #attempt(reselect: boolean): Promise<MeshError | undefined> {
    if (this.#over) return undefined;
    this.#step = new AbortController();
    const limited = deadline(this.#parts.clock, patience, this.#step.signal);
    try {
      await this.#parts.again(this.#conn.id, reselect ? askForAnother : undefined, limited.signal);
      return undefined;
    } catch (error) {
      return asMeshError(error);
    } finally {
      limited[Symbol.dispose]();
    }
  }

  /** Between a half and all of `ms`, so that what fell together does not rise together. */
  async #rest(ms: number, error: MeshError): Promise<void> {
    this.#notify(error.message);
    if (this.#over) return;
    this.#step = new AbortController();
    this.#pausing = true;
    await this.#parts.clock.sleep(ms * (0.5 + this.#parts.random() / 2), this.#step.signal).catch(() => {}); // cut short: the loop looks why
    this.#pausing = false;
  }

  #healed(): void {
    this.#healing = false;
    this.#reselect = false;
    this.#heals++;
    this.#parts.log.info("healed", { connection: this.#conn.id, heals: this.#heals });
    this.#parts.notify?.(this.#conn.id, { state: "up", heals: this.#heals });
  }

  #gone(error: MeshError): void {
    if (!this.#over) this.#parts.gone?.(this.#conn.id, error);
    this.stop();
  }

  #notify(reason: string): void {
    this.#parts.notify?.(this.#conn.id, { state: "healing", reason, heals: this.#heals });
  }
}

function askForAnother(call: Call): Call {
  return { ...call, connection: { ...call.connection, state: RESELECT_REQUESTED } };
}
