/** Runs `work` for each number below `count`, `width` at a time. */
export async function inParallel(count: number, width: number, work: (at: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async () => {
    for (let at = next++; at < count; at = next++) await work(at);
  };
  await Promise.all(Array.from({ length: width }, worker));
}
