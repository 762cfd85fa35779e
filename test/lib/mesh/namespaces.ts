import { MeshError } from "../../../core/error.js";
import type { Namespaces } from "../../../nsmgr/namespaces.js";

/** Pods' network namespaces that are only names. */
export class FakeNamespaces implements Namespaces {
  readonly #there = new Map<string, string>();
  #next = 1;

  /** Makes one (again, as another one, if it was there) and returns its url. */
  add(pod: string): string {
    const url = `file:///run/netns/${pod}`;
    this.#there.set(url, `4:${this.#next++}`);
    return url;
  }

  remove(pod: string): void {
    this.#there.delete(`file:///run/netns/${pod}`);
  }

  identify(url: string): string {
    const identity = this.#there.get(url);
    if (identity === undefined) throw new MeshError("invalid", `there is no network namespace at ${url}; is the pod still there?`);
    return identity;
  }

  look(url: string): string | undefined {
    return this.#there.get(url);
  }
}
