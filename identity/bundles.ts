import type { X509Certificate } from "node:crypto";

/** The authorities that may sign for each trust domain. What is not in here is not trusted. */
export type Bundles = ReadonlyMap<string, readonly X509Certificate[]>;

/** The same, as text. */
export function sameBundles(a: Bundles, b: Bundles): boolean {
  const text = (bundles: Bundles) =>
    JSON.stringify(
      [...bundles].map(([domain, authorities]) => [domain, authorities.map(({ fingerprint256 }) => fingerprint256).sort()]).sort(),
    );
  return text(a) === text(b);
}
