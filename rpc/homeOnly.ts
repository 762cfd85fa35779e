import { MeshError } from "../core/error.js";
import { ofOneSite } from "../identity/spiffe.js";
import type { Registry, RegistryContext } from "./registry.js";

/**
 * The registry for callers of the own site, and for this process; "denied" for anybody else. It answers in the words of its site, with what
 * other sites have told that one in confidence: those are answered at the site's registry, whatever the policy lets them find there.
 */
export function homeOnly<T>(registry: Registry<T>): Registry<T> {
  const check = ({ link }: RegistryContext) => {
    if (link === undefined || ofOneSite(link.peer.id, link.self)) return;
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
