import type { DeleteSegmentRequest, Segment } from "../../api/gen/isthmus/v1/segment.js";
import { type NetworkService, NetworkServiceEndpoint } from "../../api/gen/registry/registry.js";
import type { Audit } from "../../core/audit.js";
import type { Clock } from "../../core/clock.js";
import { sameMessage } from "../../core/equal.js";
import { MeshError } from "../../core/error.js";
import type { Log } from "../../core/log.js";
import { cut } from "../../core/segment/cut.js";
import { membershipOf } from "../../core/segment/membership.js";
import { checkedSpec, sitesOf } from "../../core/segment/spec.js";
import { siteName } from "../../core/siteNames.js";
import type { EndpointRegistry } from "../../rpc/registry.js";
import type { BlocksAdminApi, SegmentsApi } from "../../rpc/segmentApi.js";
import type { Revision } from "../store.js";
import type { SegmentBook } from "./book.js";
import { type WritingParts, writeSegment } from "./writing.js";

/** So many members are named; of the rest it is said how many they are. */
const mostNamed = 5;

export interface SegmentsAdminParts extends WritingParts {
  /** Whose registry this is. */
  readonly site: string;
  readonly book: SegmentBook;
  /** The sites that this one is joined with, by name. */
  readonly joined: () => readonly string[];
  /** Those of other sites too, as far as they are known here. */
  readonly endpoints: EndpointRegistry;
  readonly audit: Audit;
  readonly clock: Clock;
  readonly log: Log;
}

/** isthmus.v1.Segments: the segments of this site, as its administrator makes, changes and ends them. */
export class SegmentsAdmin implements Omit<SegmentsApi, keyof BlocksAdminApi> {
  readonly #parts: SegmentsAdminParts;

  constructor(parts: SegmentsAdminParts) {
    this.#parts = parts;
  }

  async apply(segment: Segment, signal: AbortSignal): Promise<Segment> {
    const spec = checkedSpec(segment, this.#parts.site);
    this.#mustBeJoined(spec);
    if (!this.#parts.book.has(spec.name)) await this.#mustBeUnserved(spec.name, signal);
    let stored = spec;
    const revision = await writeSegment(spec.name, this.#parts, (known, service) => {
      stored = this.#next(spec, known, service);
      return known !== undefined && sameMessage(stored, known) ? undefined : stored;
    });
    if (revision === undefined) return stored;
    const { name, version, layer, prefixes } = stored;
    this.#parts.log.info("segment applied", { segment: name, version, layer, prefixes, sites: sitesOf(stored) });
    this.#tell(name, `applied version ${version} of the ${layer} segment with ${prefixes.join(" and ") || "no addresses"}`);
    await this.#parts.book.settled(revision, signal);
    return stored;
  }

  async list(): Promise<readonly Segment[]> {
    return this.#parts.book.current;
  }

  async delete({ name, force }: DeleteSegmentRequest, signal: AbortSignal): Promise<void> {
    const members = await this.#members(name, signal);
    const revision = await writeSegment(name, this.#parts, (known) => {
      if (known === undefined) throw this.#unknown(name);
      this.#mustBeHome(known);
      if (members.length > 0 && !force)
        throw new MeshError(
          "conflict",
          `the segment ${name} has ${members.length} ${members.length === 1 ? "member" : "members"}: ${named(members)}; let them leave, or delete it with --force, which cuts them off`,
        );
      return "nothing";
    });
    this.#parts.log.info("segment deleted", { segment: name, members: members.length, forced: force });
    this.#tell(name, members.length === 0 ? "deleted the segment" : `deleted the segment by force, with ${members.length} members`);
    await this.#settled(revision, signal);
  }

  #next(spec: Segment, known: Segment | undefined, service: NetworkService | undefined): Segment {
    const { site, clock } = this.#parts;
    if (known !== undefined) {
      this.#mustBeHome(known);
      mustStay("layer", spec.name, known.layer, spec.layer);
      mustStay("prefixes", spec.name, known.prefixes.join(" and "), spec.prefixes.join(" and "));
    } else if (service !== undefined)
      throw new MeshError(
        "exists",
        `${spec.name} is a network service already, of ${service.pathIds[0] || "nobody known"}; give the segment another name`,
      );
    const sites = sitesOf({ ...spec, home: site });
    const next = {
      ...spec,
      home: site,
      siteBlocks: cut({ ...spec, sites, before: known?.siteBlocks ?? [] }),
      createdMs: known?.createdMs ?? clock.now(),
      version: known?.version ?? 1,
    };
    return known === undefined || sameMessage(next, known) ? next : { ...next, version: known.version + 1 };
  }

  #mustBeHome({ name, home }: Segment): void {
    if (home === this.#parts.site) return;
    throw new MeshError("conflict", `the segment ${name} was made in ${home}, and what is here is a copy; change or delete it in ${home}`);
  }

  #mustBeJoined(spec: Segment): void {
    const { site, joined } = this.#parts;
    const known = joined();
    const unknown = spec.sites.filter((one) => one !== site && !known.includes(one));
    if (unknown.length === 0) return;
    const those = known.length === 0 ? "it is joined with none" : `those that it is joined with: ${known.join(", ")}`;
    throw new MeshError(
      "invalid",
      `the segment ${spec.name} names ${unknown.join(", ")}, which ${site} is not joined with; ${those}; join it first with nsmctl site join`,
    );
  }

  /** Who serves under that name would be in the segment with everybody who has it. */
  async #mustBeUnserved(name: string, signal: AbortSignal): Promise<void> {
    for await (const endpoint of this.#serving(name, signal)) {
      // Of one of that name that was deleted just now.
      if (endpoint.pathIds[0] === this.#parts.registryId) continue;
      throw new MeshError("exists", `the endpoint ${endpoint.name} serves ${name} already; give the segment another name`);
    }
  }

  async #members(name: string, signal: AbortSignal): Promise<string[]> {
    const members: string[] = [];
    for await (const endpoint of this.#serving(name, signal)) {
      const membership = membershipOf(endpoint, name);
      const { site } = siteName(endpoint.name);
      if (membership?.kind === "members")
        members.push(...membership.members.map((member) => (site === undefined ? member.name : `${member.name} in ${site}`)));
    }
    return members.sort();
  }

  async *#serving(name: string, signal: AbortSignal): AsyncGenerator<NetworkServiceEndpoint> {
    const query = NetworkServiceEndpoint.fromPartial({ networkServiceNames: [name] });
    for await (const { value, deleted } of this.#parts.endpoints.find(query, { watch: false }, { signal })) if (!deleted) yield value;
    signal.throwIfAborted();
  }

  #unknown(name: string): MeshError {
    const names = this.#parts.book.current.map((segment) => segment.name);
    return new MeshError(
      "not-found",
      `there is no segment ${name}; ${names.length === 0 ? "there is none" : `there are: ${names.join(", ")}`}`,
    );
  }

  #tell(name: string, sentence: string): void {
    this.#parts.audit.changed({ who: "the administrator", what: "segment", on: name, sentence });
  }

  async #settled(revision: Revision | undefined, signal: AbortSignal): Promise<void> {
    if (revision !== undefined) await this.#parts.book.settled(revision, signal);
  }
}

function mustStay(what: string, name: string, is: string, wanted: string): void {
  if (is === wanted) return;
  throw new MeshError(
    "conflict",
    `the ${what} of the segment ${name} cannot be changed: ${is || "none"} there, ${wanted || "none"} here; delete the segment first, or give this one another name`,
  );
}

function named(members: readonly string[]): string {
  const more = members.length - mostNamed;
  return [...members.slice(0, mostNamed), ...(more > 0 ? [`and ${more} more`] : [])].join(", ");
}
