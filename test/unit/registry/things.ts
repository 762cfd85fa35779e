import type { Kind } from "../../../registry/kind.js";

/** A thing with a name, tags to find it by, and a content. As a query: "" and [] are anything. */
export interface Thing {
  readonly name: string;
  readonly tags: readonly string[];
  readonly content?: string;
}

/** A kind of thing that counts how many were looked at. */
export function countingKind(): Kind<Thing> & { looked: number } {
  return {
    looked: 0,
    word: "thing",
    prefix: "things/",
    name: ({ name }) => name,
    terms: ({ tags }) => tags,
    matches(query, thing) {
      this.looked++;
      return (query.name === "" || query.name === thing.name) && query.tags.every((tag) => thing.tags.includes(tag));
    },
    encode: (thing) => Buffer.from(JSON.stringify(thing)),
    decode: ({ value }) => JSON.parse(Buffer.from(value).toString()) as Thing,
  };
}

export function thing(name: string, tags: readonly string[] = [], content?: string): Thing {
  return content === undefined ? { name, tags } : { name, tags, content };
}

/** What a watch says, as a line. */
export function line({ value, deleted }: { readonly value: Thing; readonly deleted: boolean }): string {
  return deleted ? `-${value.name}` : `+${value.name}${value.content ?? ""}`;
}
