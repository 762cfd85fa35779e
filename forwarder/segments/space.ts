import type { Kernel } from "../../kernel/model.js";

/** A segment's network namespace on this node, and what programs it. Disposing lets go of it and leaves it as it is. */
export interface Space extends AsyncDisposable {
  readonly kernel: Kernel;
  /** Where it is mounted. */
  readonly path: string;
}

/** Where segments' namespaces come from. */
export interface Spaces {
  /** Makes it where it is absent. `vni`: on which this node receives. */
  open(segment: { readonly name: string; readonly layer: string; readonly vni: number }): Promise<Space>;
  /** Deletes a namespace with all that is in it; fine for one that is not there. */
  remove(segment: string): void;
  /** The segments whose namespaces are there, whoever made them. */
  list(): string[];
}
