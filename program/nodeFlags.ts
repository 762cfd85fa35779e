const ofANode = ["--max-semi-space-size=8", "--heap-growing-percent=25"];

/**
 * How Node runs a program that stays: the first line of each program's `main.ts` says the same. A control plane mostly waits; as V8 comes
 * it lets the space for fresh objects grow to 48 MB in each program, and that for old ones to several times what is still needed, before
 * it looks. With less than 8 a forwarder collects at each request (2 MB cost a sixth of its processor time).
 *
 * A registry holds all of a site, and would go through it again and again for what a few thousand finds leave: with 100,000 endpoints
 * that cost half as much processor time again as the finds. It has the space that V8 gives.
 */
export const nodeFlags = { registry: ["--max-semi-space-size=16"], nsmgr: ofANode, forwarder: ofANode } as const satisfies Record<
  string,
  readonly string[]
>;
