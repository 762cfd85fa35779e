import { Changes } from "../../rpc/changes.js";
import type { Found } from "../../rpc/registry.js";
import { linked } from "../../rpc/signals.js";

/**
 * Two watches as one; under a name that both have, what the first says counts. Ends with the signal given to make them, or as the
 * first one does.
 */
export async function* overlay<T extends { readonly name: string }>(
  open: {
    readonly first: (signal: AbortSignal) => AsyncIterable<Found<T>>;
    readonly second: (signal: AbortSignal) => AsyncIterable<Found<T>>;
  },
  signal: AbortSignal,
): AsyncGenerator<Found<T>> {
  const changes = new Changes<T>();
  const told = new Map<string, T>();
  const [over, under] = [new Map<string, T>(), new Map<string, T>()];
  const tell = (gone: T) => {
    const { name } = gone;
    const value = over.get(name) ?? under.get(name);
    if (value === told.get(name)) return;
    if (value === undefined) told.delete(name);
    else told.set(name, value);
    changes.push(name, value === undefined ? { value: gone, deleted: true } : { value, deleted: false });
  };
  const read = async (source: AsyncIterable<Found<T>>, into: Map<string, T>) => {
    try {
      for await (const { value, deleted } of source) {
        if (deleted) into.delete(value.name);
        else into.set(value.name, value);
        tell(value);
      }
      return true;
    } catch (error) {
      changes.fail(error);
      return false;
    }
  };
  using life = linked(signal);
  const reading = [
    read(open.first(life.signal), over).then((whole) => void (whole && life.abort())),
    read(open.second(life.signal), under),
  ];
  try {
    yield* changes.read(life.signal);
  } finally {
    life.abort();
    await Promise.all(reading);
  }
}
