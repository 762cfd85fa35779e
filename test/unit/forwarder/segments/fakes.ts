import { Segment, type StickyLease } from "../../../../api/gen/isthmus/v1/segment.js";
import { MeshError } from "../../../../core/error.js";
import { contains, isHost, parsePrefix } from "../../../../core/ipam/prefix.js";
import type { Moment } from "../../../../core/segment/moment.js";
import type { Space, Spaces } from "../../../../forwarder/segments/space.js";
import { FakeMachine } from "../../../../kernel/fake/machine.js";
import { FakeKernel } from "../../../../kernel/fake.js";
import type { BlockAsk, BlocksApi } from "../../../../rpc/blocks.js";
import type { SegmentSource } from "../../../../rpc/segmentApi.js";
import type { StickyApi, StickyAsk } from "../../../../rpc/sticky.js";

/** The segments that a site's registry tells of. */
export class FakeSegments implements SegmentSource {
  readonly #listeners = new Set<() => void>();
  #current: readonly Segment[] = [];

  get current(): readonly Segment[] {
    return this.#current;
  }

  /** Goes on with each that is told. */
  moment: Moment = { history: "h", revision: 0 };

  tell(...segments: readonly Partial<Segment>[]): void {
    this.moment = { ...this.moment, revision: this.moment.revision + 1 };
    this.#current = segments.map((segment) => Segment.fromPartial({ layer: "l3", version: 1, home: "test", ...segment }));
    for (const listener of [...this.#listeners]) listener();
  }

  listen(listener: () => void): Disposable {
    this.#listeners.add(listener);
    return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
  }
}

/** A registry that gives 10.60.1.0/24, 10.60.2.0/24 and so on, to whoever asks, and notes what comes back. */
export class FakeBlocks implements BlocksApi {
  readonly given: string[] = [];
  readonly back: string[] = [];
  /** Instead of the next one, where it is set. */
  next: string | undefined;
  /** What another node has. */
  readonly others: string[] = [];

  async allocate({ prefix }: BlockAsk): Promise<string> {
    const other = this.others.find(
      (one) => prefix === one || (isHost(parsePrefix(prefix)) && contains(parsePrefix(one), parsePrefix(prefix))),
    );
    if (other !== undefined) throw new MeshError("exists", `${prefix} cannot be given: ${other} is another node's`);
    const next = this.given.length + 1;
    const block = this.next ?? (prefix === "0.0.0.0/0" ? `10.60.${next}.0/24` : prefix === "::/0" ? `fd60:0:0:${next}::/64` : prefix);
    this.given.push(block);
    return block;
  }

  async release({ prefix }: Pick<BlockAsk, "segment" | "prefix">): Promise<void> {
    this.back.push(prefix);
  }
}

/** A home that gives 10.60.200.1, 10.60.200.2 and so on, and the same of fd60:0:0:200::/64, one to each name. */
export class FakeSticky implements StickyApi {
  /** The connection that has each name now, or none; and how often it was claimed. */
  readonly names = new Map<string, { readonly number: number; sequence: number; holder: string | undefined }>();
  readonly released: string[] = [];
  readonly #takenFrom = new Set<string>();
  away = false;
  hasAddresses = true;

  async claim({ name, connection }: StickyAsk): Promise<StickyLease> {
    if (this.away) throw new MeshError("unreachable", `the sticky name ${name} waits for paris`);
    const known = this.names.get(name) ?? { number: this.names.size + 1, sequence: 0, holder: undefined };
    this.names.set(name, known);
    if (this.#takenFrom.has(connection)) throw new MeshError("moved", `the sticky name ${name} was taken over`);
    if (known.holder !== undefined && known.holder !== connection) this.#takenFrom.add(known.holder);
    if (known.holder !== connection) known.sequence++;
    known.holder = connection;
    const addresses = this.hasAddresses ? [`10.60.200.${known.number}`, `fd60:0:0:200::${known.number}`] : [];
    return { addresses, sequence: known.sequence };
  }

  async release({ name, connection }: StickyAsk): Promise<void> {
    this.released.push(`${name} ${connection}`);
    const known = this.names.get(name);
    if (known?.holder === connection) known.holder = undefined;
  }
}

/** Segments' namespaces of a pretended machine. */
export class FakeSpaces implements Spaces {
  readonly machines = new Map<string, FakeMachine>();
  readonly kernels = new Map<string, FakeKernel>();
  readonly #beside: FakeMachine;

  constructor(beside: FakeMachine) {
    this.#beside = beside;
  }

  async open({ name }: { readonly name: string }): Promise<Space> {
    const machine = this.machines.get(name) ?? new FakeMachine(this.#beside);
    this.machines.set(name, machine);
    const kernel = new FakeKernel(machine);
    this.kernels.set(name, kernel);
    return { netns: { path: `/run/netns/seg-${name}`, cookie: name }, kernel };
  }

  remove(segment: string): void {
    this.machines.delete(segment);
  }

  list(): string[] {
    return [...this.machines.keys()];
  }

  /** The VNIs that were left open last. */
  stayOpen = new Set<number>();

  close(vnis: ReadonlySet<number>): void {
    this.stayOpen = new Set(vnis);
  }

  /** What a segment has on this machine, as commands. */
  text(segment: string): string {
    const machine = this.machines.get(segment);
    return machine === undefined ? "" : new FakeKernel(machine).text();
  }
}
