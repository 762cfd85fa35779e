import { MeshError } from "../core/error.js";

/** Throws "invalid" without a name. */
export function mustHaveName(what: string, name: string): void {
  if (name === "") throw new MeshError("invalid", `the ${what} has no name; it is what others find it by`);
}

/** Throws "unsupported" for a name with a site: what a registry has is its own site's. */
export function mustBeOurs(what: string, name: string): void {
  const at = name.indexOf("@");
  if (at < 0) return;
  const [local, site] = [name.slice(0, at), name.slice(at + 1)];
  throw new MeshError(
    "unsupported",
    `the ${what} ${name} names the site ${site}, and this registry takes only what is its own site's; leave out the site: ${local}`,
  );
}
