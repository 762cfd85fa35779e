import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import ts from "typescript";
import { Archive } from "./cpio.js";

const folders = ["api", "core", "kernel", "program", "forwarder", "test/lib", "test/netns", "test/suite", "test/qemu"];
// What code and tests import by name; what these need comes along.
const packages = ["mocha", "koffi", "ipaddr.js", "@bufbuild/protobuf"];

/** The archive of all that changes often: our code as JavaScript under /isthmus, the packages that it needs, and /init. */
export function projectArchive(root: string, init: string): Buffer {
  const archive = new Archive();
  archive.file("init", init, 0o755).file("isthmus/package.json", '{"type":"module"}');
  for (const folder of folders) for (const file of typescriptFiles(join(root, folder))) addModule(archive, root, join(folder, file));
  for (const name of closure(root, packages)) archive.copy(join("isthmus/node_modules", name), join(root, "node_modules", name));
  return archive.bytes();
}

function addModule(archive: Archive, root: string, file: string): void {
  const compilerOptions = { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true };
  const { outputText } = ts.transpileModule(readFileSync(join(root, file), "utf8"), { compilerOptions, fileName: file });
  archive.file(join("isthmus", file.replace(/\.ts$/, ".js")), outputText);
}

function typescriptFiles(folder: string): string[] {
  return readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((file) => file.endsWith(".ts") && !file.endsWith(".d.ts"));
}

/** The named packages and all that they depend on, as npm laid them flat; nested ones come with their parent's folder. */
function closure(root: string, names: readonly string[]): Set<string> {
  const found = new Set<string>();
  const visit = (name: string): void => {
    const file = join(root, "node_modules", name, "package.json");
    if (found.has(name) || !existsSync(file)) return;
    found.add(name);
    const { dependencies = {}, optionalDependencies = {} } = JSON.parse(readFileSync(file, "utf8")) as Record<
      string,
      Record<string, string>
    >;
    Object.keys({ ...dependencies, ...optionalDependencies }).forEach(visit);
  };
  names.forEach(visit);
  return found;
}
