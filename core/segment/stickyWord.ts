/** What a segment's home says of one of its sticky names. It is told, like the members, in the labels of an endpoint of the segment. */
export interface StickyWord {
  /** A DNS label. */
  readonly name: string;
  /** One for each of the segment's prefixes, without length. */
  readonly addresses: readonly string[];
  /** The nodes that claimed it last, the latest first; the one before holds until the other is heard. */
  readonly claims: readonly StickyClaimant[];
}

/** A node that claimed a sticky name. */
export interface StickyClaimant {
  /** The SPIFFE id of its forwarder. */
  readonly id: string;
  /** That the claim got. */
  readonly sequence: number;
}

/** That only a registry says, of the segments that were made in its site. */
export const stickyLabel = "sticky";
/** So many claimants are told. */
export const mostClaims = 2;

/** The name of the endpoint that tells it: no node's, whose names end with the forwarder's or with a number. */
export function stickyWordName(segment: string, name: string): string {
  return `${segment}.${name}.${stickyLabel}`;
}

/** `id`: the SPIFFE id of the registry that says so. */
export function stickyLabels(id: string, { name, addresses, claims }: StickyWord): Record<string, string> {
  const claimed = claims.map((claim) => `${claim.id} ${claim.sequence}`);
  return { id, [stickyLabel]: name, addresses: addresses.join(","), claims: claimed.join(",") };
}

/** The inverse; undefined for labels that tell something else. */
export function stickyWordIn(labels: Readonly<Record<string, string>>): StickyWord | undefined {
  const { [stickyLabel]: name, addresses = "", claims = "" } = labels;
  if (name === undefined) return undefined;
  const claimed = [...claims.matchAll(/([^ ,]+) (\d{1,15})(?:,|$)/g)].slice(0, mostClaims);
  return {
    name,
    addresses: addresses === "" ? [] : addresses.split(","),
    claims: claimed.map(([, id = "", sequence = ""]) => ({ id, sequence: Number(sequence) })),
  };
}
