/**
 * How Node runs a program that stays: the first line of each program's `main.ts` says the same. A control plane mostly waits; as V8 comes
 * it lets the space for fresh objects grow to 48 MB in each program, and that for old ones to several times what is still needed, before
 * it looks.
 */
export const nodeFlags: readonly string[] = ["--max-semi-space-size=2", "--heap-growing-percent=25"];
