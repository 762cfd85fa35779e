/**
 * How Node runs a program that stays: the first line of each program's `main.ts` says the same. A control plane mostly waits; without
 * the limit V8 lets the space for fresh objects grow to 48 MB in each program and fills it before it looks what is still needed.
 */
export const nodeFlags: readonly string[] = ["--max-semi-space-size=2"];
