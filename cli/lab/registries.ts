import { MeshError } from "../../core/error.js";
import type { NodePlan } from "./layout.js";
import { isAlive } from "./process.js";
import type { LabRecord } from "./record.js";

/** The nodes on which a site's registries run. */
export function registriesOf(lab: LabRecord, site: string): NodePlan[] {
  const names = lab.sites.find(({ name }) => name === site)?.registryNodes ?? [];
  return lab.nodes.filter(({ name }) => names.includes(name));
}

/** The node of the first of them whose process lives; of the first of all where none does. */
export function registryOf(lab: LabRecord, site: string): NodePlan {
  const nodes = registriesOf(lab, site);
  const lives = ({ name }: NodePlan) => lab.programs.some((one) => one.node === name && one.program === "registry" && isAlive(one));
  const node = nodes.find(lives) ?? nodes[0];
  if (node === undefined) throw new MeshError("internal", `the lab ${lab.prefix} has no registry for site ${site}`);
  return node;
}
