// Loaded only by who writes YAML: what a bundler makes of the package has names only where they are imported by name.
export { stringify } from "yaml";
