import { MeshError } from "../../core/error.js";
import type { Authority } from "../../identity/ca/authority.js";
import { fingerprintOf } from "../../identity/certificate.js";
import { fenced } from "../fenced.js";
import type { Store } from "../store.js";

const key = "admission/authority";

/**
 * Registries that share a store are one site, so they must sign with one authority: a node that joined at one of them would be a
 * stranger to the others. The store remembers which it is. Throws "invalid" for another; one that takes over is known by the
 * certificate of the one before, which stands beside its own.
 */
export async function checkAuthority(store: Pick<Store, "abilities" | "get" | "commit">, authority: Authority): Promise<void> {
  if (!store.abilities.shared) return;
  await fenced(store, key, (found) => {
    const known = found && Buffer.from(found.value).toString();
    if (known === authority.fingerprint) return undefined;
    if (known !== undefined && authority.authorities.every((one) => fingerprintOf(one) !== known)) throw another(authority, known);
    return { op: "put", key, value: Buffer.from(authority.fingerprint) };
  });
}

function another({ fingerprint }: Authority, known: string): MeshError {
  return new MeshError(
    "invalid",
    `the registries that share this store sign with the authority ${short(known)}, this one would with ${short(fingerprint)}: ` +
      `give it a copy of their ca.key (mode 0600) and ca.pem with NSM_CA_KEY_FILE and NSM_CA_CERT_FILE; ` +
      `if theirs is lost, delete ${key} in the store and let every node join anew`,
  );
}

function short(fingerprint: string): string {
  return `${fingerprint.slice(0, 16)}…`;
}
