import { kernelSuite } from "../suite/kernel.js";
import { routedSegmentSuite } from "../suite/kernelRouted.js";
import { switchedSegmentSuite } from "../suite/kernelSwitched.js";
import { realWorld } from "./kernelWorld.js";
import { realSegmentWorld } from "./segmentWorld.js";

kernelSuite("Linux with eBPF", () => realWorld("bpf"));
kernelSuite("Linux with u32 and mirred", () => realWorld("tc"));
routedSegmentSuite("Linux", () => realSegmentWorld("l3"));
switchedSegmentSuite("Linux", () => realSegmentWorld("l2"));
