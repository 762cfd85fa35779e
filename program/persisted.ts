import type { StateStore } from "./state.js";

/** Facts of one kind on disk, by key. */
export interface Persisted<T> {
  get(key: string): T | undefined;
  entries(): [key: string, value: T][];
  /** Resolves when a kill -9 cannot lose it. */
  put(key: string, value: T): Promise<void>;
  remove(key: string): Promise<void>;
}

/** How a value is written as JSON, where it has parts that JSON does not know. */
export interface Form<T, J> {
  write(value: T): J;
  read(json: J): T;
}

/** The part of the store under `prefix`. */
export function persisted<T, J>(store: StateStore, prefix: string, form: Form<T, J>): Persisted<T> {
  return {
    get: (key) => {
      const found = store.get<J>(prefix + key);
      return found === undefined ? undefined : form.read(found);
    },
    entries: () => [...store.entries<J>(prefix)].map(([key, value]) => [key.slice(prefix.length), form.read(value)]),
    put: (key, value) => store.put(prefix + key, form.write(value)),
    remove: (key) => store.remove(prefix + key),
  };
}

/** The form of a value that is JSON already. */
export function asItIs<T>(): Form<T, T> {
  return { write: (value) => value, read: (json) => json };
}

interface Codec<T> {
  encode(message: T): { finish(): Uint8Array };
  decode(bytes: Uint8Array): T;
}

/** A message by its wire form, which keeps the fields that we do not know. */
export function messageText<T>(codec: Codec<T>): Form<T, string> {
  return {
    write: (message) => Buffer.from(codec.encode(message).finish()).toString("base64"),
    read: (text) => codec.decode(Buffer.from(text, "base64")),
  };
}
