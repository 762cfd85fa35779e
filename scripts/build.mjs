// Makes each program one file, and one for each part that it loads later, and makes them runnable as `npx nsmctl` and so on. A program of
// five hundred files takes twice the time to start.
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import { build } from "esbuild";

const { bin } = JSON.parse(readFileSync("package.json", "utf8"));
const { metafile } = await build({
  entryPoints: Object.values(bin).map((file) => file.replace(/^dist\/(.*)\.js$/, "$1.ts")),
  outbase: ".",
  outdir: "dist",
  bundle: true,
  splitting: true,
  platform: "node",
  format: "esm",
  target: "node20",
  // They find files of their own by where they are: machine code, a thread's code, .proto files.
  external: ["koffi", "lmdb", "pino", "etcd3"],
  // For packages that were written as CommonJS.
  banner: { js: 'import { createRequire as requireFrom } from "node:module";\nconst require = requireFrom(import.meta.url);' },
  chunkNames: "parts/[name]-[hash]",
  metafile: true,
  logLevel: "warning",
});

for (const name of readdirSync("dist", { recursive: true, withFileTypes: true })) {
  const file = join(name.parentPath, name.name);
  if (name.isFile() && !(file in metafile.outputs)) rmSync(file);
}
mkdirSync("node_modules/.bin", { recursive: true });
for (const [name, file] of Object.entries(bin)) {
  chmodSync(file, 0o755);
  rmSync(`node_modules/.bin/${name}`, { force: true });
  symlinkSync(`../../${file}`, `node_modules/.bin/${name}`);
}
