import assert from "node:assert/strict";
import { MeshError } from "../../../../core/error.js";
import { formatPolicy, parseInForce, parsePolicy } from "../../../../identity/policy/parse.js";

const rule = (more: string) => `allow:\n  - name: first\n    who: [paris]\n    may: [find]\n    services: ["*"]\n${more}`;
const second = (who: string, may: string, services: string) => rule(`  - who: ${who}\n    may: ${may}\n    services: ${services}\n`);

describe("a policy file", () => {
  for (const [what, text, ...words] of [
    ["nothing", "", "p.yaml: a policy must begin with allow:, a list of rules"],
    ["a list", "- a", "p.yaml, line 1: a policy must begin with allow:"],
    ["another list than allow", "allow: []\ndeny: []", 'p.yaml, line 2: the key "deny" is not known; a policy has allow'],
    ["allow that is no list", "allow: 3", "line 1: allow is 3; it must be a list of rules"],
    ["a rule that is none", rule("  - everybody\n"), 'line 6: rule 2 is "everybody"; it must be a rule, with who, may and services'],
    [
      "an unknown key",
      rule("  - who: [x]\n    may: [find]\n    servces: [x]\n"),
      'line 8: the key "servces" is not known',
      "name, who, may, services, except, pods",
    ],
    ["a key too few", rule("  - who: [x]\n    may: [find]\n"), "line 6: services is missing; it must be a list of 1 to 256 entries"],
    ["nobody", second("[]", "[find]", "[x]"), "line 6: who is []; it must be a list of 1 to 256 entries"],
    ["one who is no list", second("paris", "[find]", "[x]"), 'line 6: who is "paris"; it must be a list'],
    [
      "an unknown action",
      second("[x]", "[find, reqest]", "[x]"),
      'line 7: entry 2 of may is "reqest"; it must be one of register, find, request, monitor',
    ],
    [
      "a trust domain that cannot be",
      second("[Paris]", "[find]", "[x]"),
      'line 6: entry 1 of who is "Paris"; it must be a SPIFFE id',
      "lower-case",
    ],
    ["two stars in a part", second('["spiffe://paris/n*d*"]', "[find]", "[x]"), "line 6: entry 1 of who", "has one * at most"],
    ["** in the middle", second('["spiffe://paris/**/nsmgr"]', "[find]", "[x]"), "line 6: entry 1 of who is"],
    ["an id of another kind", second('["https://paris/x"]', "[find]", "[x]"), "line 6: entry 1 of who is", "is no SPIFFE id"],
    [
      "a service with a space",
      second("[x]", "[find]", '["a b"]'),
      'line 8: entry 1 of services is "a b"; it must be a name without spaces',
    ],
    ["an exception with a space", rule('    except: ["a b"]\n'), 'line 6: entry 1 of except is "a b"; it must be a name without spaces'],
    ["exceptions that are no list", rule("    except: a\n"), 'line 6: except is "a"; it must be a list of 1 to 256 entries'],
    ["a service without a name", second("[x]", "[find]", '[""]'), 'line 8: entry 1 of services is ""'],
    ["a label that is no text", rule("    pods: { a: 3 }\n"), "line 6: the label a of pods is 3; it must be a text"],
    ["a label with a line break", rule('    pods: { a: "x\\ny" }\n'), 'line 6: the label a of pods is "x\\ny"'],
    ["a key twice", rule("    who: [x]\n"), "line 6: this is no YAML: Map keys must be unique"],
    ["tabs", "allow:\n\t- x", "line 2: this is no YAML"],
    ["an alias", "allow: [&a { who: [x], may: [find], services: [a] }, *a]", "write out what an alias"],
    ["a merge key", "allow:\n  - &a { who: [x], may: [find], services: [a] }\n  - <<: *a\n", "p.yaml"],
    ["too many rules", `allow:\n${"  - { who: [x], may: [find], services: [a] }\n".repeat(1001)}`, "at most 1000 rules"],
    ["too much", "#".repeat(200_000), "p.yaml has 200000 characters; a policy has at most 131072"],
  ] as const)
    it(`with ${what} is refused, with the line and what is allowed`, () => {
      assert.throws(
        () => parsePolicy(text, "p.yaml"),
        (error) => {
          assert.ok(error instanceof MeshError, String(error));
          assert.equal(error.code, "invalid");
          for (const word of words) assert.ok(error.message.includes(word), error.message);
          return true;
        },
      );
    });

  it("of several together may be longer than one", () => {
    const { rules } = parsePolicy(`allow:\n${"  - { who: [x], may: [find], services: [a] }\n".repeat(1_000)}`, "p");
    assert.equal(parseInForce(formatPolicy({ rules: [...rules, ...rules] }), "p").rules.length, 2_000);
  });

  it("may have comments, no rules, and rules without a name", () => {
    assert.deepEqual(parsePolicy("# nobody\nallow: []", "p").rules, []);
    assert.equal(parsePolicy(second("[x]", "[find]", "[x]"), "p").rules[1]?.title, "rule 2");
  });
});
