import { BinaryReader } from "@bufbuild/protobuf/wire";

/** Longer texts than a token with its certificates come once and are not kept. */
const longest = 4096;
/** Texts that are remembered, and their characters: this many to twice as many. */
const remembered = { texts: 4096, characters: 1 << 20 };

let characters = 0;
let recent = new Map<string, string>();
let before = new Map<string, string>();

/**
 * The same text, and the same piece of memory for as long as the text keeps coming. Names, ids, tokens and labels come again in every
 * message of a connection, and in those of many connections: a program with thousands of them keeps each text once.
 */
export function shared(text: string): string {
  if (text.length > longest) return text;
  const known = recent.get(text);
  if (known !== undefined) return known;
  const one = before.get(text) ?? text;
  recent.set(one, one);
  characters += one.length;
  if (recent.size >= remembered.texts || characters >= remembered.characters) {
    before = recent;
    recent = new Map();
    characters = 0;
  }
  return one;
}

/** Reads a message whose texts are shared. */
export class SharingReader extends BinaryReader {
  override string(strict?: boolean): string {
    return shared(super.string(strict));
  }
}
