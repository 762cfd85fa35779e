import { z } from "zod";
import { MeshError } from "../../core/error.js";
import { formatPrefix, parsePrefix } from "../../core/ipam/prefix.js";
import type { Given } from "../../core/segment/choose.js";
import type { Entry, Write } from "../store.js";
import { blocksPrefix } from "./writing.js";

const form = z.object({ owner: z.string(), holder: z.string(), sinceMs: z.number(), at: z.number().default(0) });

/** A block, or a single address, that somebody has of a segment. Throws "exists" for what is none. */
export function givenIn({ key, value }: Entry, segment: string): Given & { readonly sinceMs: number } {
  try {
    const { owner, holder, sinceMs, at } = form.parse(JSON.parse(Buffer.from(value).toString("utf8")));
    return { prefix: parsePrefix(key.slice(blocksPrefix(segment).length)), owner, holder, sinceMs, at };
  } catch (error) {
    throw new MeshError("exists", `what the store has under ${key} is no address block that this registry can read; remove it there`, {
      cause: error,
    });
  }
}

/** The inverse of givenIn. */
export function giving(segment: string, { prefix, owner, holder, at = 0 }: Given, sinceMs: number): Write {
  return {
    op: "put",
    key: blocksPrefix(segment) + formatPrefix(prefix),
    value: Buffer.from(JSON.stringify({ owner, holder, sinceMs, at })),
  };
}
