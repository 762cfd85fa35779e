import type { SegmentMember } from "../../core/segment/membership.js";
import { parseSegmentService, type SegmentService } from "../../core/segment/service.js";

export interface Target {
  readonly port: number;
  /** A member's whole name. */
  readonly host: string;
}

/** A name by which a service is found. */
export interface ServedName {
  readonly name: string;
  readonly addresses: readonly string[];
  readonly targets: readonly Target[];
}

/** The names below `base` that members have because of what they serve: those of services, of their SRV records, and what lies between. */
export function servedBy(
  members: readonly SegmentMember[],
  base: string,
  held: (member: SegmentMember) => readonly string[],
): Iterable<ServedName> {
  const names = new Map<string, { name: string; addresses: Set<string>; targets: Target[] }>();
  const at = (name: string) => {
    const found = names.get(name) ?? { name, addresses: new Set<string>(), targets: [] };
    names.set(name, found);
    return found;
  };
  for (const member of members)
    for (const service of member.services.flatMap(parsed)) {
      for (const address of held(member)) at(`${service.name}.${base}`).addresses.add(address);
      if (service.at === undefined) continue;
      const { protocol, port } = service.at;
      at(`_${protocol}.${base}`);
      at(`_${service.name}._${protocol}.${base}`).targets.push({ port, host: `${member.name}.${base}` });
    }
  return [...names.values()].map(({ name, addresses, targets }) => ({ name, addresses: [...addresses], targets }));
}

/** What another node tells may be anything. */
function parsed(text: string): SegmentService[] {
  try {
    return [parseSegmentService(text)];
  } catch {
    return [];
  }
}
