import type { X509Certificate } from "node:crypto";

/** The authorities that may sign for each trust domain. What is not in here is not trusted. */
export type Bundles = ReadonlyMap<string, readonly X509Certificate[]>;

export function sameBundles(a: Bundles, b: Bundles): boolean {
  return a.size === b.size && [...a].every(([domain, authorities]) => sameAuthorities(authorities, b.get(domain)));
}

/** In whatever order. */
export function sameAuthorities(a: readonly X509Certificate[] | undefined, b: readonly X509Certificate[] | undefined): boolean {
  const text = (all: readonly X509Certificate[] | undefined) =>
    all
      ?.map(({ fingerprint256 }) => fingerprint256)
      .sort()
      .join();
  return a === b || text(a) === text(b);
}
