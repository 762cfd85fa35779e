import { sameMessage } from "../core/equal.js";
import { MultiMap } from "../core/multiMap.js";
import { keyOf } from "../kernel/difference.js";
import type { KernelObject } from "../kernel/model.js";
import { byKey } from "./plan.js";

/** What units want that is written without a look at what the kernel has, by key: several may want one thing, as when it moves. */
export class Revisions {
  readonly #wanted = new MultiMap<string, KernelObject>();

  /** A unit wants these in place of those. Answers what has to be written or deleted for that, by key, as it was or is to be. */
  change(before: readonly KernelObject[], now: readonly KernelObject[]): Map<string, KernelObject> {
    for (const object of before) this.#wanted.delete(keyOf(object), object);
    for (const object of now) this.#wanted.add(keyOf(object), object);
    const [old, fresh] = [byKey(before), byKey(now)];
    return new Map([...old, ...fresh].filter(([key]) => !sameMessage(old.get(key), fresh.get(key))));
  }

  /** Of what was changed: what is wanted by now, and what nobody wants any more. */
  sorted(changed: ReadonlyMap<string, KernelObject>): { readonly written: KernelObject[]; readonly left: KernelObject[] } {
    const wanted = (key: string) => [...this.#wanted.get(key)].at(-1);
    return {
      written: [...changed.keys()].flatMap((key) => wanted(key) ?? []),
      left: [...changed].flatMap(([key, object]) => (wanted(key) === undefined ? [object] : [])),
    };
  }
}
