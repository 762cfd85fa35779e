import type { Command } from "commander";
import { several } from "../command.js";

/** The three ways to name a pod, and what it is labelled with. */
export function withPodOptions(command: Command): Command {
  return command
    .option("--pod <name>", "a pod of the lab")
    .option("--netns <path>", "the pod's network namespace, such as /run/netns/NAME")
    .option("--pid <n>", "a process of the pod")
    .option("--pod-label <key=value>", "a label of the pod itself, for the site's policy; may be given several times", several);
}
