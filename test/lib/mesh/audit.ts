import type { Clock } from "../../../core/clock.js";
import { silent } from "../../../core/log.js";
import { AuditLog } from "../../../program/audit.js";

/** One line of an audit log. */
export interface AuditLine {
  readonly time: string;
  readonly event: "denied" | "changed";
  readonly who: string;
  readonly what: string;
  readonly on: string;
  readonly sentence: string;
  readonly repeats?: number;
}

/** An audit log that is kept in memory. */
export class MemoryAudit extends AuditLog {
  readonly lines: AuditLine[];

  constructor(clock: Clock) {
    const lines: AuditLine[] = [];
    super({ clock, log: silent, write: (line) => void lines.push(JSON.parse(line) as AuditLine) });
    this.lines = lines;
  }

  /** What was denied to `who`, as `what on`. */
  deniedTo(who: string): string[] {
    return this.lines.filter((line) => line.event === "denied" && line.who === who).map(({ what, on }) => `${what} ${on}`);
  }
}
