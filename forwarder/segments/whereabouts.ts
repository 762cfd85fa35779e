import { MultiMap } from "../../core/multiMap.js";
import type { Netns } from "../../kernel/model.js";
import type { Member } from "./part.js";

/** In which segment each member of this node is, and which of them are one pod's. */
export class Whereabouts {
  readonly #of = new Map<string, { readonly segment: string; readonly pod: string }>();
  /** By the cookie of the pod's network namespace. */
  readonly #ofPod = new MultiMap<string, string>();

  add({ id, segment, side }: Pick<Member, "id" | "segment" | "side">): void {
    this.remove(id);
    this.#of.set(id, { segment, pod: side.pod.cookie });
    this.#ofPod.add(side.pod.cookie, id);
  }

  remove(id: string): void {
    const known = this.#of.get(id);
    if (known === undefined) return;
    this.#ofPod.delete(known.pod, id);
    this.#of.delete(id);
  }

  segmentOf(id: string): string | undefined {
    return this.#of.get(id)?.segment;
  }

  /** The ids of what else the pod is a member by. */
  others({ cookie }: Pick<Netns, "cookie">, id: string): string[] {
    return [...this.#ofPod.get(cookie)].filter((other) => other !== id);
  }
}
