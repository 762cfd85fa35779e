import type { X509Certificate } from "node:crypto";
import type { Prover } from "../core/checkTokens.js";
import type { Clock } from "../core/clock.js";
import { asMeshError, MeshError } from "../core/error.js";
import { isSignedBy, type Jwt } from "../core/jwt.js";
import { RecentMap } from "../core/recentMap.js";
import { parseDer, validity } from "./certificate.js";
import type { IdentitySource } from "./source.js";
import { verifyChain } from "./verify.js";

/** The same tokens come again with every request of a hop. */
const mostKept = 2048;

/** Finds out who signed a token by the certificates in its header, as far as these bundles trust them. */
export class BundleProver implements Prover, Disposable {
  readonly #source: IdentitySource;
  readonly #clock: Clock;
  /** By the token's text, as long as it and the certificates in it are good. */
  readonly #known = new RecentMap<string, { readonly signer: string; readonly until: number }>(mostKept);
  readonly #listening: Disposable;

  constructor(source: IdentitySource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
    this.#listening = source.listen(() => this.#known.clear());
  }

  signerOf(token: Jwt): string | undefined {
    if (token.certificates.length === 0) return undefined;
    const now = this.#clock.now();
    const known = this.#known.get(token.text);
    if (known !== undefined && known.until > now) return known.signer;
    const chain = chainOf(token, `the certificate in the token of ${token.subject}`);
    const signer = this.#prove(token, chain, now);
    this.#known.set(token.text, { signer, until: Math.min(token.expires, ...chain.map((one) => validity(one).notAfter)) });
    return signer;
  }

  [Symbol.dispose](): void {
    this.#listening[Symbol.dispose]();
  }

  #prove(token: Jwt, chain: readonly X509Certificate[], now: number): string {
    const { id, publicKey } = verifyChain(chain, this.#source.bundles, now);
    if (isSignedBy(token, publicKey)) return id;
    throw new MeshError(
      "denied",
      `the token of ${token.subject} is not signed with the key of the certificate of ${id} that it brings along`,
    );
  }
}

function chainOf({ certificates }: Jwt, what: string): X509Certificate[] {
  try {
    return parseDer(
      certificates.map((text) => Buffer.from(text, "base64")),
      what,
    );
  } catch (error) {
    throw new MeshError("denied", asMeshError(error).message, { cause: error });
  }
}
