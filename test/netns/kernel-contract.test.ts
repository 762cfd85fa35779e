import { kernelSuite } from "../suite/kernel.js";
import { realWorld } from "./kernelWorld.js";

kernelSuite("Linux with eBPF", () => realWorld("bpf"));
kernelSuite("Linux with u32 and mirred", () => realWorld("tc"));
