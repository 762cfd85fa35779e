import { join } from "node:path";
import { Authority } from "../../identity/ca/authority.js";
import { Identity } from "../../identity/identity.js";
import { generateKey, spkiOf } from "../../identity/keys.js";
import { parseSpiffeId } from "../../identity/spiffe.js";
import { svidOf } from "../../identity/svid.js";
import { systemClock } from "../../program/clock.js";
import { GivenSource } from "./identities.js";

/** An identity that the authority in a registry's state folder signs, as only its owner could make it; the authority is made if it is not there. */
export async function siteIdentity(stateDir: string, id: string, lifetimeMs = 3_600_000): Promise<Identity> {
  const spiffeId = parseSpiffeId(id);
  const { trustDomain } = spiffeId;
  const files = { keyFile: join(stateDir, "ca.key"), certificateFile: join(stateDir, "ca.pem") };
  const authority = await Authority.open({ ...files, trustDomain, lifetimeMs, clock: systemClock });
  const key = generateKey().privateKey;
  const { chain, authorities } = await authority.issue(spiffeId, spkiOf(key));
  const source = new GivenSource({ svid: svidOf(chain, key), bundles: new Map([[trustDomain, authorities]]) });
  return new Identity({ source, clock: systemClock, tokenLifetimeMs: 600_000 });
}

/** Whoever it is. */
export const anybody = () => ({ matches: () => true, what: "anybody" });
