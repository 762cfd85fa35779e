import { MeshError } from "../core/error.js";

/** Throws "invalid" without a name. */
export function mustHaveName(what: string, name: string): void {
  if (name === "") throw new MeshError("invalid", `the ${what} has no name; it is what others find it by`);
}

/** Throws "unsupported" for a name of another site: this registry knows only its own. */
export function mustBeOurs(what: string, name: string): void {
  const at = name.indexOf("@");
  if (at < 0) return;
  const [local, site] = [name.slice(0, at), name.slice(at + 1)];
  throw new MeshError(
    "unsupported",
    `the ${what} ${name} names the site ${site}, and this registry is joined with none; leave out the site: ${local}`,
  );
}
