import type { Kernel, Netns } from "../../kernel/model.js";

/** A segment's network namespace on this node, and what programs it. */
export interface Space {
  readonly netns: Netns;
  /** Disposing of it leaves the namespace as it is. */
  readonly kernel: Kernel;
}

/** Segments' network namespaces. */
export interface Spaces {
  /** Makes it where it is absent. `vni`: on which this node receives. */
  open(segment: { readonly name: string; readonly layer: string; readonly vni: number }): Promise<Space>;
  /** Deletes a namespace with all that is in it; fine for one that is not there. */
  remove(segment: string): void;
  /** The segments whose namespaces are there, whoever made them. */
  list(): string[];
  /** Lets nothing in any more for segments on other VNIs than these. */
  close(vnis: ReadonlySet<number>): void;
}
