import { z } from "zod";
import { MeshError } from "../../core/error.js";
import type { Kind } from "../kind.js";

/** Rules as the registry keeps them: the administrator's own, and those that go with a site that it is joined with. */
export interface PolicyDocument {
  /** `site`, or whose they are. All of them hold. */
  readonly name: string;
  readonly version: number;
  /** A policy file. */
  readonly text: string;
  /** Milliseconds since 1970. */
  readonly appliedMs: number;
}

/** The administrator's own. Others have names of their own under the same prefix, `policy/peers/tokyo` for those of a joined site. */
export const own = "site";

const form = z.object({ version: z.number(), text: z.string(), appliedMs: z.number() });

const prefix = "policy/";

export const policyKind: Kind<PolicyDocument> = {
  word: "policy",
  prefix,
  name: ({ name }) => name,
  terms: () => [],
  matches: () => true,
  encode: ({ name: _, ...rest }) => Buffer.from(JSON.stringify(rest)),
  decode: ({ key, value }) => {
    try {
      return { name: key.slice(prefix.length), ...form.parse(JSON.parse(Buffer.from(value).toString("utf8"))) };
    } catch (error) {
      throw new MeshError("exists", `what the store has under ${key} is no policy that this registry can read; apply it again`, {
        cause: error,
      });
    }
  },
};

/** A query that finds all of them. */
export const everyPolicy: PolicyDocument = { name: "", version: 0, text: "", appliedMs: 0 };
