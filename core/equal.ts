type Fields = Readonly<Record<string, unknown>>;

/**
 * Whether two messages say the same. A field that is undefined and one that is left out are equal, and so are
 * no unknown fields and an empty set of them: which of these a value has depends on whether it crossed the wire.
 */
export function sameMessage(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a instanceof Uint8Array && b instanceof Uint8Array) return a.length === b.length && a.every((byte, i) => byte === b[i]);
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((item, i) => sameMessage(item, b[i]));
  if (!isFields(a) || !isFields(b)) return false;
  const keys = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...keys].every((key) => sameField(key, a[key], b[key]));
}

function sameField(key: string, a: unknown, b: unknown): boolean {
  if (key === "_unknownFields" && isEmpty(a) && isEmpty(b)) return true;
  return sameMessage(a, b);
}

function isEmpty(value: unknown): boolean {
  return value === undefined || (isFields(value) && Object.keys(value).length === 0);
}

function isFields(value: unknown): value is Fields {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
