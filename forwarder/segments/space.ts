import type { Kernel } from "../../kernel/model.js";

/** Segments' network namespaces on this node, and what programs them. */
export interface Spaces {
  /** Makes it where it is absent. `vni`: on which this node receives. Disposing of the kernel leaves the namespace as it is. */
  open(segment: { readonly name: string; readonly layer: string; readonly vni: number }): Promise<Kernel>;
  /** Deletes a namespace with all that is in it; fine for one that is not there. */
  remove(segment: string): void;
  /** The segments whose namespaces are there, whoever made them. */
  list(): string[];
  /** Lets nothing in any more for segments on other VNIs than these. */
  close(vnis: ReadonlySet<number>): void;
}
