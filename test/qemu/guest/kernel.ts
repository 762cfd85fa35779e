import { realWorld } from "../../netns/kernelWorld.js";
import { kernelSuite } from "../../suite/kernel.js";

kernelSuite("Linux with eBPF, in a guest", () => realWorld("bpf"));
