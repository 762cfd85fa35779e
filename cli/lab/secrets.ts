import type { Clock } from "../../core/clock.js";
import { siteFiles } from "./files.js";
import type { LabPlan } from "./layout.js";

/**
 * Makes what the registries of a site share: the authority, where they are several, and the certificates of its etcd. What makes
 * certificates is large, so it is loaded only here.
 */
export async function makeSecrets(plan: LabPlan, clock: Clock): Promise<void> {
  for (const site of plan.sites) {
    if (site.registryNodes.length > 1) {
      const { Authority } = await import("../../identity/ca/authority.js");
      const { caKey: keyFile, caCertificate: certificateFile } = siteFiles(plan.prefix, site.name);
      // The lifetime is of what it signs, and here it signs nothing.
      await Authority.open({ keyFile, certificateFile, trustDomain: site.trustDomain, lifetimeMs: 0, clock });
    }
    if (site.etcd.length > 0) {
      const { makeEtcdCertificates } = await import("./etcdCertificates.js");
      await makeEtcdCertificates(plan, site, clock.now());
    }
  }
}
