import type { IKeyValue } from "etcd3";
import type { Clock } from "../../core/clock.js";
import type { Entry } from "../store.js";
import type { Members } from "./members.js";
import type { Era, Space } from "./space.js";

/** What reading from etcd needs. */
export interface EtcdParts {
  readonly members: Members;
  readonly space: Space;
  readonly clock: Clock;
  readonly era: () => Era;
  /** Undefined for a key that is not one of ours; that is logged. */
  readonly entry: (kv: IKeyValue, era: Era) => Entry | undefined;
}
