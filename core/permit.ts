import { type Asking, askingBy } from "./asking.js";
import type { Call, Element } from "./chain.js";
import type { Prover } from "./checkTokens.js";

export interface PermitParts {
  readonly prover?: Prover | undefined;
  /** Throws "denied" where the site's policy does not allow it. */
  readonly check: (asking: Asking, service: string) => void;
}

/**
 * Lets a request through that the policy allows to the one who asked first. Sits behind authorize, which has looked at the tokens, and
 * before begin. What this process asks itself has no caller and passes; so does every close: it is its path that counts.
 */
export function permit({ prover, check }: PermitParts): Element {
  return {
    name: "permit",
    async request(call, next) {
      if (call.caller !== undefined) check(askingBy(tokensBefore(call), prover), call.connection.networkService);
      return next.request(call);
    },
  };
}

/** The last is the one that the caller presented. */
function tokensBefore({ connection, caller }: Call): string[] {
  const { index = 0, pathSegments = [] } = connection.path ?? {};
  const before = pathSegments.slice(0, index).map(({ token }) => token);
  return [...before.slice(0, -1), caller?.token ?? ""];
}
