import type { Lab } from "./lab.js";

/** The first two sites of a lab hear nothing of each other, as when a line between them is cut. */
const rules = `table inet cut {
  chain forward {
    type filter hook forward priority 0
    ip saddr 10.101.0.0/24 ip daddr 10.102.0.0/24 drop
    ip saddr 10.102.0.0/24 ip daddr 10.101.0.0/24 drop
  }
}`;

export async function cutLine(lab: Lab): Promise<void> {
  await lab.exec("wan", "nft", rules);
}

export async function mendLine(lab: Lab): Promise<void> {
  await lab.exec("wan", "nft", "delete table inet cut");
}
