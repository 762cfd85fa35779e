import { MeshError } from "../core/error.js";
import { parseSpiffeId } from "../identity/spiffe.js";
import type { Registry, RegistryContext } from "./registry.js";

/** The registry for callers of that trust domain only, and for this process; "denied" for anybody else: other sites have their own. */
export function homeOnly<T>(registry: Registry<T>, trustDomain: () => string): Registry<T> {
  const check = ({ link }: RegistryContext) => {
    if (link === undefined || parseSpiffeId(link.peer.id).trustDomain === trustDomain()) return;
    throw new MeshError("denied", `${link.peer.id} is of another site; it asks and registers at its own registry`);
  };
  return {
    async register(value, context) {
      check(context);
      return await registry.register(value, context);
    },
    async unregister(value, context) {
      check(context);
      await registry.unregister(value, context);
    },
    async *find(query, options, context) {
      check(context);
      yield* registry.find(query, options, context);
    },
  };
}
