import { Connection } from "../../api/gen/connection/connection.js";
import type { Attachment } from "../../api/gen/isthmus/v1/node.js";
import type { JoinWishes } from "../../core/segment/wishes.js";
import { type Form, messageText, type Persisted, persisted } from "../../program/persisted.js";
import type { StateStore } from "../../program/state.js";

/** "requesting" has never worked yet; "closing" stays on disk until every hop has let go. */
export type AttachmentState = "requesting" | "up" | "healing" | "closing";

/** What an attachment is, and all that a restarted nsmgr needs to go on with it. */
export interface AttachmentRecord {
  /** Also the connection's id in its first path segment. */
  readonly id: string;
  /** The first path segment's name: the pod's, else generated. */
  readonly segment: string;
  readonly podName: string;
  /** Of the pod itself, for the policy; absent in what older versions wrote. */
  readonly podLabels?: Readonly<Record<string, string>> | undefined;
  readonly netnsUrl: string;
  /** Which namespace was there when it was made; another one under the same path is not it. */
  readonly netnsIdentity: string;
  readonly service: string;
  /** As asked for, "" for any. */
  readonly interface: string;
  readonly labels: Readonly<Record<string, string>>;
  /** As asked for: "auto" or a mechanism's name. */
  readonly mechanism: string;
  /** As asked for, "" for any. */
  readonly endpoint: string;
  /** As asked for; absent in what older versions wrote. */
  readonly wishes?: JoinWishes | undefined;
  readonly state: AttachmentState;
  readonly establishedMs: number;
  readonly heals: number;
  /** As the last successful request returned it. */
  readonly connection?: Connection | undefined;
}

/** The record, and what is worth telling but not worth keeping. */
export interface AttachmentView {
  readonly record: AttachmentRecord;
  /** Why it is not up, for people; "" when it is. */
  readonly reason: string;
}

type Written = Omit<AttachmentRecord, "connection"> & { readonly connection?: string | undefined };

const connectionText = messageText(Connection);

const form: Form<AttachmentRecord, Written> = {
  write: (record) => ({ ...record, connection: record.connection && connectionText.write(record.connection) }),
  read: (written) => ({ ...written, connection: written.connection === undefined ? undefined : connectionText.read(written.connection) }),
};

export function attachmentRecords(store: StateStore): Persisted<AttachmentRecord> {
  return persisted(store, "attachment/", form);
}

/** The attachment as isthmus.v1 tells it. */
export function toAttachment({ record, reason }: AttachmentView): Attachment {
  return {
    id: record.id,
    pod: { name: record.podName, netnsUrl: record.netnsUrl, labels: { ...record.podLabels } },
    networkService: record.service,
    interface: interfaceOf(record),
    connection: record.connection,
    state: record.state,
    reason,
    establishedMs: record.establishedMs,
    heals: record.heals,
    requestedMechanism: record.mechanism,
  };
}

/** The interface that it has, or asked for. */
export function interfaceOf(record: AttachmentRecord): string {
  return record.connection?.mechanism?.parameters.name || record.interface;
}
