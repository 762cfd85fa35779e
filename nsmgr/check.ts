import { MeshError } from "../core/error.js";

/** Names end up in paths, labels and file names of logs: nothing that is not seen, nothing endless. */
const nameLimit = 253;

/** Throws MeshError "invalid" unless `value` can name a `kind`. */
export function checkName(kind: string, value: string): void {
  if (value === "") throw new MeshError("invalid", `the name of the ${kind} is empty`);
  if (value.length > nameLimit)
    throw new MeshError("invalid", `the name of the ${kind} must have at most ${nameLimit} characters, got ${value.length}`);
  if (!/^[\x21-\x7e]+$/.test(value))
    throw new MeshError("invalid", `the name of the ${kind} must be printable ASCII without spaces, got ${JSON.stringify(value)}`);
}

/** A pod's labels go into its token, which goes along with every request. */
const labelsLimit = 2_048;

/** As `checkLabels`, and throws MeshError "invalid" for more than fit into a token. */
export function checkPodLabels(labels: Readonly<Record<string, string>>): void {
  checkLabels(labels);
  const size = JSON.stringify(labels).length;
  if (size > labelsLimit)
    throw new MeshError(
      "invalid",
      `the pod's labels have ${size} characters together, written as JSON; at most ${labelsLimit} are allowed`,
    );
}

/** Throws MeshError "invalid" for a label without a key or one that is endless. */
export function checkLabels(labels: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(labels)) {
    if (key === "") throw new MeshError("invalid", `a label needs a key, got "=${value}"`);
    if (key.length > nameLimit || value.length > nameLimit)
      throw new MeshError("invalid", `label ${key.slice(0, 40)}: key and value must have at most ${nameLimit} characters each`);
  }
}
