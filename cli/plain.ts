/**
 * A text from elsewhere as one line for a terminal: control characters, which could move the cursor or write over what is true, are
 * written out. Labels, URLs and reasons may be what another site's registry says.
 */
export function plain(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
