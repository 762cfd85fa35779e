import { MeshError } from "../../core/error.js";
import type { Members } from "./members.js";
import type { Space } from "./space.js";

const format = "isthmus 1";
const mostAttempts = 8;

/**
 * Finds the store under the prefix, or makes it where nothing is. Resolves with etcd's revision at which it was made.
 * Throws "invalid" when the keys there are not ours or of another format: nothing is touched then.
 */
export async function claim(members: Members, space: Space): Promise<number> {
  for (let attempt = 0; attempt < mostAttempts; attempt++) {
    const { marker, other } = await members.patient((client, options) => look(client, options, space));
    if (marker !== undefined) return madeAt(marker, space);
    if (other !== undefined) throw foreign(other, space);
    await members.patient((client, options) =>
      client.kv.txn(
        {
          compare: [{ target: "Create", result: "Equal", key: space.marker, create_revision: 0 }],
          success: [{ request_put: { key: space.marker, value: Buffer.from(format) } }],
        },
        options,
      ),
    );
  }
  throw new MeshError("conflict", `the store under ${space.prefix} in etcd is removed again and again while it is made; try again`);
}

type Look = Parameters<Parameters<Members["patient"]>[0]>;

/** Both in one transaction: somebody else may make the store just now. */
async function look(client: Look[0], options: Look[1], space: Space) {
  const success = [{ request_range: { key: space.marker } }, { request_range: { ...space.all, limit: 1, keys_only: true } }];
  const { responses } = await client.kv.txn({ success }, options);
  return { marker: responses[0]?.response_range.kvs[0], other: responses[1]?.response_range.kvs[0]?.key };
}

function madeAt({ value, create_revision }: { readonly value: Buffer; readonly create_revision: string }, { prefix }: Space): number {
  const found = value.toString();
  if (found === format) return Number(create_revision);
  throw new MeshError(
    "invalid",
    `the store under ${prefix} in etcd has the format ${JSON.stringify(found.slice(0, 64))}, this program knows ${JSON.stringify(format)}; choose another NSM_ETCD_PREFIX`,
  );
}

function foreign(key: Buffer, { prefix }: Space): MeshError {
  return new MeshError(
    "invalid",
    `the keys under ${prefix} in etcd are not a registry's, such as ${JSON.stringify(key.toString().slice(0, 128))}; choose another NSM_ETCD_PREFIX`,
  );
}
