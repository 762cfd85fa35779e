import { z } from "zod";
import { MeshError } from "../../core/error.js";
import type { Entry, Write } from "../store.js";

/** By which connection a member has a name, and which programs that is of. */
const holder = z.object({ site: z.string(), nsmgr: z.string(), forwarder: z.string(), connection: z.string() });

const form = z.object({
  /** One for each of the segment's prefixes, canonical, without length. */
  addresses: z.array(z.string()),
  sequence: z.number().int(),
  /** Since when its holder has it, or nobody. */
  sinceMs: z.number(),
  holder: holder.optional(),
  /** Which nodes claimed it last, the latest first: what others are told. */
  claims: z.array(z.object({ id: z.string(), sequence: z.number().int() })),
  /** From which connections it was taken, the last one at the end. */
  takenFrom: z.array(z.string()),
});

export type StickyHolder = z.infer<typeof holder>;

/** A sticky name as its segment's home keeps it. */
export type StickyRecord = z.infer<typeof form>;

/** Throws "exists" for what is none. */
export function stickyIn({ key, value }: Entry): StickyRecord {
  try {
    return form.parse(JSON.parse(Buffer.from(value).toString("utf8")));
  } catch (error) {
    throw new MeshError("exists", `what the store has under ${key} is no sticky name that this registry can read; remove it there`, {
      cause: error,
    });
  }
}

/** The inverse of stickyIn. */
export function stickyWrite(key: string, record: StickyRecord): Write {
  return { op: "put", key, value: Buffer.from(JSON.stringify(record)) };
}

/** What one holder is told from another by: who says so to its registry, and for which connection. */
export function holderKey({ nsmgr, connection }: StickyHolder): string {
  return `${nsmgr} ${connection}`;
}
