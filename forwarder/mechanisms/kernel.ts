import type { Connection, Mechanism } from "../../api/gen/connection/connection.js";
import type { Call } from "../../core/chain.js";
import { asMeshError, MeshError } from "../../core/error.js";
import { checkInterfaceName, KERNEL, kernelMechanism, kernelParameters, LOCAL } from "../../core/mechanism.js";
import type { Netns } from "../../kernel/model.js";
import { type Claims, interfaceClaim } from "../claims.js";
import type { KernelSide } from "../crossConnect.js";
import { type Pods, resolveAgain } from "../pods.js";
import type { Way } from "./mechanism.js";

/** An interface in a pod of this node, named by the pod's namespace (`inodeURL`) and a name that may be left to us. */
export function kernelWay(parts: { readonly pods: Pods; readonly claims: Claims }): Way<KernelSide> {
  const side = async (id: string, mechanism: Mechanism, before: KernelSide | undefined): Promise<KernelSide> => {
    const { netns, name, routeLocalnet } = kernelParameters(mechanism);
    const pod = resolveAgain(parts.pods, netns, before?.pod);
    // Only NSM's own name their namespace so. What is ours leaves a pod's settings alone.
    if (netns.startsWith("inode:") && pod.cookie !== before?.pod.cookie) parts.pods.allowPing(pod);
    const chosen = chooseName(parts, id, pod, name, before);
    const made = kernelMechanism({ netns, name: chosen }, mechanism);
    return { kind: "kernel", mechanism: made, pod, name: chosen, ...(routeLocalnet ? { routeLocalnet } : {}) };
  };
  return {
    type: KERNEL,
    cls: LOCAL,
    kind: "kernel",
    refusal: () => undefined,
    accept: (call: Call, asked: Mechanism, before) => side(call.connection.id, asked, before),
    // The endpoint says which namespace.
    offer: async (_call, before) => before?.mechanism ?? { cls: LOCAL, type: KERNEL, parameters: {} },
    async take(answer: Connection, answered: Mechanism, _offered, before) {
      // Another endpoint has another pod: only the same one can be "gone".
      const same = before?.mechanism.parameters.inodeURL === answered.parameters.inodeURL ? before : undefined;
      try {
        return await side(answer.id, answered, same);
      } catch (error) {
        throw endpointLost(error);
      }
    },
  };
}

/** The name that was asked for, the one that it has, or the first nsmN that is free; claimed for the connection. */
function chooseName(parts: { pods: Pods; claims: Claims }, id: string, pod: Netns, asked: string, before: KernelSide | undefined): string {
  const kept = before?.pod.cookie === pod.cookie ? before.name : undefined;
  const wish = asked || kept;
  if (wish !== undefined) {
    checkInterfaceName(wish);
    const owner = parts.claims.owner(interfaceClaim(pod, wish));
    const ours = owner === id;
    if ((!ours && (owner !== undefined || parts.pods.hasInterface(pod, wish))) || !parts.claims.take(interfaceClaim(pod, wish), id)) {
      throw new MeshError("exists", `the network namespace at ${pod.path} has an interface ${wish} already; choose another name`);
    }
    return wish;
  }
  for (let n = 0; ; n++) {
    const name = `nsm${n}`;
    const claim = interfaceClaim(pod, name);
    // A name that nobody has claimed is looked for in the pod: of its interfaces there may be hundreds.
    if (parts.claims.owner(claim) === undefined && !parts.pods.hasInterface(pod, name) && parts.claims.take(claim, id)) return name;
  }
}

/** "netns-gone" is said of the client's namespace alone; an endpoint without one is no endpoint, and another may do. */
export function endpointLost(thrown: unknown): MeshError {
  const error = asMeshError(thrown, "kernel");
  if (error.code !== "netns-gone" && error.code !== "not-found") return error;
  return new MeshError("no-endpoint", `the endpoint has lost its pod: ${error.message}`, { cause: error });
}
