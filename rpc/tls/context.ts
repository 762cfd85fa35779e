import { createSecureContext, type SecureContext } from "node:tls";
import type { Svid } from "../../identity/svid.js";

const made = new WeakMap<Svid, SecureContext>();

/** What TLS shows for this SVID. No authorities: whom we trust is decided by our own code, per trust domain. */
export function contextFor(svid: Svid): SecureContext {
  const known = made.get(svid);
  if (known !== undefined) return known;
  const context = createSecureContext({
    key: svid.privateKey.export({ format: "pem", type: "pkcs8" }),
    cert: svid.chain.join(""),
    ca: [],
    // NSM's peers may speak 1.2; ours and they all take 1.3 where both can.
    minVersion: "TLSv1.2",
  });
  made.set(svid, context);
  return context;
}
