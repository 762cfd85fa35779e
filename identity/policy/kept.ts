import { asMeshError, MeshError } from "../../core/error.js";
import { readPrivate, writePrivate } from "../privateFile.js";
import type { InForce } from "./inForce.js";
import { parseInForce } from "./parse.js";

const head = /^# version (\d{1,10}) of the site's policy/;

/** The policy that a program heard last, in a file that people can read too. */
export function keptPolicy(file: string) {
  return {
    read(): InForce | undefined {
      const text = readPrivate(file);
      if (text === undefined) return undefined;
      try {
        const end = text.indexOf("\n") + 1;
        const version = Number(head.exec(text)?.[1] ?? Number.NaN);
        if (Number.isNaN(version)) throw new MeshError("invalid", "its first line does not say which version it is");
        const body = text.slice(end);
        return { policy: parseInForce(body, file), text: body, version };
      } catch (error) {
        const reason = asMeshError(error).message;
        throw new MeshError("invalid", `the policy in ${file} is damaged (${reason}); remove it to get it from the registry again`, {
          cause: error,
        });
      }
    },
    write({ text, version }: InForce): void {
      writePrivate(
        file,
        `# version ${version} of the site's policy, as it was heard last; \`nsmctl policy apply\` changes it, this file does not.\n${text}`,
      );
    },
  };
}
