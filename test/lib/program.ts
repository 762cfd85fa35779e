import { createServer } from "node:net";
import { MeshError } from "../../core/error.js";
import { setting } from "../../program/config.js";
import { runProgram } from "../../program/run.js";
import { text } from "../../program/values.js";

// A program whose name says how it behaves.
const say = (line: string) => process.stdout.write(`${line}\n`);

await runProgram("sample", { name: setting("NSM_NAME", "how it behaves", text) }, async ({ config, signal }) => {
  if (config.name === "broken") throw new MeshError("unreachable", "the registry is not there");
  const server = createServer().listen(0, "127.0.0.1");
  if (config.name === "careless") void Promise.reject(new Error("forgotten"));
  signal.addEventListener("abort", () => say("told to stop"));
  say(`running ${config.name}`);
  return {
    async [Symbol.asyncDispose]() {
      if (config.name === "stubborn") await new Promise(() => {});
      server.close();
      say("disposed");
    },
  };
});
