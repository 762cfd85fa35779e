import { Clamp } from "./clamp.js";
import { deviceIn, Guards } from "./guards.js";
import type { Netns, SegmentLayer } from "./model.js";
import { within } from "./netns.js";
import { Nft } from "./nft.js";
import { NftElements } from "./nftElements.js";
import { Policies } from "./policies.js";
import { routedRules } from "./routedRules.js";
import { nftText, type RuleText } from "./ruleText.js";
import { switchedRules } from "./switchedRules.js";

const texts: Readonly<Record<SegmentLayer, RuleText>> = { l2: switchedRules, l3: routedRules };

/** What the rules dropped of a port's packets. A port of which none was dropped for a day is left out. */
export interface Refused {
  /** Their source is not the port's. */
  readonly spoofed: ReadonlyMap<string, number>;
  /** Broadcast and multicast beyond the limit; only where frames are switched. */
  readonly flooded?: ReadonlyMap<string, number>;
}

/** The rules of a segment's namespace, which members' packets meet first. */
export interface SegmentRules extends Disposable {
  /** What each port may send; only where frames are switched. */
  readonly guards: Guards | undefined;
  /** How large TCP's segments may be; only where frames are switched: what is routed goes by its route. */
  readonly clamp: Clamp | undefined;
  readonly policies: Policies;
  /** Makes the rules anew where somebody took them away or changed them. What the sets had in them stays away until it is set again. */
  mend(): void;
  refused(): Refused;
}

/** Makes the rules where they are absent or changed. */
export function writeSegmentRules(netns: Netns, layer: SegmentLayer): void {
  write(new Nft(netns), texts[layer]);
}

/** The same, and goes on looking after them. */
export function openSegmentRules(netns: Netns, layer: SegmentLayer): SegmentRules {
  const rules = texts[layer];
  const { family, table } = rules;
  const nft = new Nft(netns);
  write(nft, rules);
  const elements = within(netns, () => new NftElements());
  const now = (): Buffer => Buffer.concat(Object.keys(rules.chains).map((chain) => elements.chain({ family, table, chain })));
  const right = now();
  const counted = (set: string) => new Map(elements.counts({ family, table, set }).map(([key, packets]) => [deviceIn(key), packets]));
  return {
    policies: new Policies(layer, nft, elements),
    guards: layer === "l2" ? new Guards(elements, { family, table }) : undefined,
    clamp: layer === "l2" ? new Clamp(elements, { family, table }) : undefined,
    mend: () => {
      if (!now().equals(right)) write(nft, rules);
    },
    refused: () => ({ spoofed: counted("spoofed"), ...(layer === "l2" ? { flooded: counted("flooded") } : {}) }),
    [Symbol.dispose]: () => elements[Symbol.dispose](),
  };
}

function write(nft: Nft, rules: RuleText): void {
  try {
    nft.run(nftText(rules));
  } catch (error) {
    try {
      // A chain of that name hangs elsewhere, or a set is of another kind.
      nft.run(`delete table ${rules.family} ${rules.table}\n${nftText(rules)}`);
    } catch {
      throw error;
    }
  }
}
