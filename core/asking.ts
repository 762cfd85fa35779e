import { isProven, type Prover } from "./checkTokens.js";
import { decodeJwt, type Jwt } from "./jwt.js";

/** In a pod's token: the pod's labels, as its nsmgr has them. */
export const LABELS = "isthmus.labels";

/** Who asks, as far as tokens say it. */
export interface Asking {
  /**
   * The one who asked first; where nothing proves that it is that one, those who vouch for it too, down to the first whose certificate
   * is known. All of them must be allowed to.
   */
  readonly ids: readonly string[];
  /** Of the pod, when its nsmgr has signed them; what a caller says of itself is not believed. */
  readonly podLabels: Readonly<Record<string, string>>;
}

/** From the tokens before this hop, the peer's last. The peer's id is known from its connection. */
export function askingOf(tokens: readonly Jwt[], prover: Prover | undefined): Asking {
  const ids: string[] = [];
  for (const token of tokens) {
    ids.push(token.subject);
    if (isProven(token, prover)) break;
  }
  const [first] = tokens;
  const signer = first && prover?.signerOf(first);
  return { ids, podLabels: first !== undefined && signer !== undefined && signer !== first.subject ? labelsIn(first) : {} };
}

/** The same from the tokens' texts; those that cannot be read ask for nobody. */
export function askingBy(texts: readonly string[], prover: Prover | undefined): Asking {
  return askingOf(
    texts.flatMap((text) => decodeJwt(text) ?? []),
    prover,
  );
}

function labelsIn({ claims }: Jwt): Readonly<Record<string, string>> {
  const labels = claims[LABELS];
  if (typeof labels !== "object" || labels === null) return {};
  return Object.fromEntries(Object.entries(labels).filter((pair): pair is [string, string] => typeof pair[1] === "string"));
}
