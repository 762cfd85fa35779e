import { openStore } from "../../program/state.js";

// Puts one value after another and says so after each, until it is killed.
const store = openStore(process.argv[2] ?? "");
for (let count = 0; ; count++) {
  await store.put(`k/${count}`, { count });
  process.stdout.write(`${count}\n`);
}
