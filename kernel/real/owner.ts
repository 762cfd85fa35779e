import type { Link } from "../netlink/link.js";

/** How the alias of everything of ours begins. */
export const aliasPrefix = "isthmus:";

/**
 * The group of our devices. It is set at birth and the alias a moment later, so a device that a killed process left half-made is
 * still known as ours. Both are on the side where no pod can write.
 */
export const ourGroup = 0x6973;

/** The group of devices that are about to be deleted together. */
export const dyingGroup = 0x6974;

/** Whether a device of the mesh namespace is ours. */
export function isOurs(link: Link): boolean {
  return link.group === ourGroup || link.group === dyingGroup || link.alias.startsWith(aliasPrefix);
}
