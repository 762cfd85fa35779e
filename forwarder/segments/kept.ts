import type { Connection } from "../../api/gen/connection/connection.js";
import type { Log } from "../../core/log.js";
import type { StateStore } from "../../program/state.js";
import { keptForm } from "../keptForm.js";
import { type Member, memberKey } from "./part.js";

/** A member as it is kept: what it has in the kernel, and the answer that its caller got. */
export interface KeptMember {
  readonly member: Member;
  readonly connection: Connection;
}

interface Stored {
  readonly member: Member;
  readonly connection: unknown;
}

/** Resolves when it is on disk. */
export async function keepMember(store: StateStore, { member, connection }: KeptMember): Promise<void> {
  const stored: Stored = { member, connection: keptForm.write(connection) };
  await store.put(memberKey(member.id), stored);
}

/** What an earlier run kept of members, by segment. */
export function restoredMembers(store: StateStore, log: Log): Map<string, KeptMember[]> {
  const found = new Map<string, KeptMember[]>();
  for (const [key, stored] of store.entries<Stored>(memberKey(""))) {
    try {
      const connection = keptForm.read(stored.connection);
      const kept = { member: { labels: connection.labels, ...stored.member }, connection };
      found.set(kept.member.segment, [...(found.get(kept.member.segment) ?? []), kept]);
    } catch (error) {
      log.error("kept member of a segment not understood, left out", { key, error: (error as Error).message });
    }
  }
  return found;
}
