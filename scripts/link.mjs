// Makes the built programs runnable as `npx nsmctl` and so on from the checkout's root.
import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync } from "node:fs";

const { bin } = JSON.parse(readFileSync("package.json", "utf8"));
mkdirSync("node_modules/.bin", { recursive: true });
for (const [name, file] of Object.entries(bin)) {
  chmodSync(file, 0o755);
  rmSync(`node_modules/.bin/${name}`, { force: true });
  symlinkSync(`../../${file}`, `node_modules/.bin/${name}`);
}
