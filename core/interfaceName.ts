import { MeshError } from "./error.js";

const longest = 15;

/** Throws "invalid" unless the kernel takes it as an interface's name: 1 to 15 bytes, no slash, colon or blank, not "." or "..". */
export function checkInterfaceName(name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > longest)
    throw new MeshError("invalid", `an interface name has 1 to ${longest} bytes, ${JSON.stringify(name)} has ${bytes}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused
  if (name === "." || name === ".." || /[/:%\s\u0000-\u001f\u007f]/.test(name))
    throw new MeshError(
      "invalid",
      `${JSON.stringify(name)} is no interface name: no slash, colon, percent sign or blank, and not "." or ".."`,
    );
}
