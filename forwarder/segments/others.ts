import type { Log } from "../../core/log.js";
import { RecentIds } from "../../core/recentIds.js";
import type { BehindHost } from "../../core/segment/membership.js";
import type { StickyWord } from "../../core/segment/stickyWord.js";
import type { NodeTunnel } from "../tunnel/tunnel.js";
import { contestBehind, numberTold } from "./behindContest.js";
import { contest } from "./contest.js";
import { credible, type Doubt } from "./credible.js";
import type { Member, OwnNode, Part, Remote } from "./part.js";

export interface OthersParts {
  readonly own: OwnNode;
  readonly tunnel: Pick<NodeTunnel, "node">;
  /** What the segment's home has said of sticky names. */
  readonly stickyWords: () => readonly StickyWord[];
  readonly log: Log;
}

/** What there is of the segment on this node. */
export interface Here {
  readonly part: Part;
  readonly members: readonly Member[];
  /** Who is behind them. */
  readonly behind: readonly BehindHost[];
}

/** What other nodes tell of a segment, and what of that counts. */
export class Others {
  readonly #parts: OthersParts;
  #heard: readonly Remote[] = [];
  #nodes: readonly Remote[] = [];
  /** Said in the log, once each. */
  readonly #doubted = new RecentIds(1_024);

  constructor(parts: OthersParts) {
    this.#parts = parts;
  }

  /** The other nodes, with those of their members that count. */
  get nodes(): readonly Remote[] {
    return this.#nodes;
  }

  /** This is what they tell from now on; what of it counts is to be weighed. */
  hear(nodes: readonly Remote[]): void {
    this.#heard = nodes;
  }

  /** Whether somebody there has this MAC address, or is said to be behind a member. */
  tellOf(mac: string): boolean {
    return this.#heard.some(({ members }) => members.some((member) => member.mac === mac)) || this.numberOf(mac) > 0;
  }

  /** The highest number under which one of them tells of a host behind a member; 0: none does. */
  numberOf(mac: string): number {
    return numberTold(this.#heard, mac);
  }

  /** Of what two tell, takes what counts. Answers the ids of this node's members that do not. */
  weigh(here: Here): readonly string[] {
    const own = this.#parts.own.id;
    const { members, behind } = here;
    const { remotes, lost } = contest({ segment: here.part.segment, own, members, remotes: this.#believed(here) });
    this.#nodes = contestBehind({ own, macs: members.map(({ mac }) => mac), behind, remotes });
    return lost;
  }

  #believed({ part: { segment, blocks }, members }: Here): readonly Remote[] {
    const { own, tunnel, stickyWords } = this.#parts;
    const { remotes, doubts } = credible({
      segment,
      own: { site: own.site, tunnel: tunnel.node.address, blocks, members },
      remotes: this.#heard,
      sticky: stickyWords(),
    });
    for (const doubt of doubts) this.#tell(doubt, segment.name);
    return remotes;
  }

  #tell({ id, what, example }: Doubt, segment: string): void {
    const key = `${id} ${what}`;
    if (this.#doubted.has(key)) return;
    this.#doubted.add(key);
    this.#parts.log.warn("node says of a segment what is not its to say, left out", { segment, node: id, what, example });
  }
}
