import type { NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import { sitesOf } from "../../core/segment/spec.js";
import type { SegmentBook } from "../segments/book.js";

/** Which sites take part in which segment: an endpoint of a segment is one of its nodes, so those of other sites are none. */
export class TakingPart {
  readonly #book: SegmentBook;
  /** The sites of each, as they were at the last look. */
  #seen: ReadonlyMap<string, string> = new Map();

  constructor(book: SegmentBook) {
    this.#book = book;
  }

  /** Whether that site may have such an endpoint. */
  admits({ networkServiceNames }: NetworkServiceEndpoint, site: string): boolean {
    return networkServiceNames.every((name) => {
      const segment = this.#book.get(name);
      return segment === undefined || sitesOf(segment).includes(site);
    });
  }

  /** The segments whose sites are not those of the last time. */
  changed(): ReadonlySet<string> {
    const before = this.#seen;
    this.#seen = new Map(this.#book.current.map((segment) => [segment.name, sitesOf(segment).join()]));
    return new Set([...before.keys(), ...this.#seen.keys()].filter((name) => before.get(name) !== this.#seen.get(name)));
  }
}
