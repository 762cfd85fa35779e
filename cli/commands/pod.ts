import type { Command } from "commander";

/** The three ways to name a pod. */
export function withPodOptions(command: Command): Command {
  return command
    .option("--pod <name>", "a pod of the lab")
    .option("--netns <path>", "the pod's network namespace, such as /run/netns/NAME")
    .option("--pid <n>", "a process of the pod");
}
