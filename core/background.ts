import { asMeshError } from "./error.js";
import type { Fields, Log } from "./log.js";

/** Lets a task run that nobody waits for. That it failed is told in the log, under its name, with what it was about. */
export function background(log: Log, name: string, task: Promise<unknown>, about: Fields = {}): void {
  task.catch((error: unknown) => {
    const { code, message } = asMeshError(error);
    log.warn(`${name} failed`, { ...about, code, message });
  });
}
