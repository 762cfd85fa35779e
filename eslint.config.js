// Biome lints everything else; these two rules need types that only typescript-eslint has.
import tseslint from "typescript-eslint";

export default [
  { ignores: ["dist/", "api/gen/", "node_modules/", "**/*.mjs", "**/*.cjs", "**/*.js"] },
  {
    files: ["**/*.ts"],
    languageOptions: { parser: tseslint.parser, parserOptions: { project: "./tsconfig.json" } },
    plugins: { "@typescript-eslint": tseslint.plugin },
    linterOptions: { reportUnusedDisableDirectives: "off" },
    rules: { "@typescript-eslint/no-floating-promises": "error", "@typescript-eslint/no-misused-promises": "error" },
  },
];
