import { benchRegistry } from "./registry.js";
import { etcd, lmdb } from "./registryStores.js";
import { type Bench, result } from "./result.js";
import { rounded } from "./stats.js";

/** The one figure of a registry that has a bar. */
const bar = { atMost: 5 };

/** The same registry on either store. */
export const registry: readonly Bench[] = Object.entries({ registry: lmdb, "registry-etcd": etcd }).map(([name, create]) => ({
  name,
  run: async () =>
    (await benchRegistry(name, create)).map((one) =>
      result(one.name, rounded(one.value), one.unit, one.name === `${name}-find-by-service-p99` ? bar : undefined),
    ),
}));
