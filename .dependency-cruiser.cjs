// The import arrows of ARCHITECTURE.md, checked by `npm run ok`.
const programs = ["registry", "nsmgr", "forwarder", "cli", "k8s"];
const edges = ["rpc", "identity", "kernel", "program"];
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: `^${from}/` },
  to: { path: `^(${[...programs, ...edges, "core", "api"].join("|")})/`, pathNot: `^(${[from, ...allowed].join("|")})/` },
});

module.exports = {
  forbidden: [
    { name: "no-cycles", severity: "error", from: {}, to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } } },
    only("api-knows-nobody", "api", [], "The wire imports nothing of ours"),
    only("core-is-pure", "core", ["api/gen"], "core knows the wire's types and nothing else"),
    only("kernel-is-an-edge", "kernel", ["core"], "kernel knows core"),
    only("identity-is-an-edge", "identity", ["core", "api/gen"], "identity knows core and the wire"),
    only("program-is-an-edge", "program", ["core", "identity"], "what every program has knows core and identity"),
    only("rpc-is-an-edge", "rpc", ["core", "identity", "api/gen"], "rpc knows core, identity and the wire"),
    only("registry-stands-alone", "registry", ["api/gen", "core", "rpc", "identity", "program"], "programs never import one another"),
    only(
      "nsmgr-stands-alone",
      "nsmgr",
      ["api/gen", "core", "rpc", "identity", "program"],
      "programs never import one another, and nsmgr never the kernel",
    ),
    only(
      "forwarder-stands-alone",
      "forwarder",
      ["api/gen", "core", "rpc", "identity", "program", "kernel"],
      "programs never import one another",
    ),
    only("cli-stands-alone", "cli", ["api/gen", "core", "rpc", "identity", "program", "kernel"], "programs never import one another"),
    {
      name: "only-the-lab-touches-the-kernel",
      severity: "error",
      from: { path: "^cli/", pathNot: "^cli/lab/" },
      to: { path: "^kernel/" },
    },
    {
      name: "telemetry-is-loaded-on-demand",
      comment: "OpenTelemetry and prom-client cost memory and start-up time: they come by import(), only where they are on",
      severity: "error",
      from: { path: "^(core|rpc|identity|kernel|program|registry|nsmgr|forwarder|cli)/", pathNot: "^program/(telemetry|meter)[.]ts$" },
      to: { path: "(^program/telemetry[.]ts$|node_modules/(@opentelemetry|prom-client)/)", dynamic: false },
    },
    {
      name: "core-does-no-io",
      severity: "error",
      from: { path: "^core/" },
      to: { dependencyTypes: ["core", "npm"], pathNot: "(node_modules/ipaddr.js|^crypto$|^node:crypto$)" },
    },
  ],
  options: { doNotFollow: { path: "node_modules" }, tsConfig: { fileName: "tsconfig.json" }, tsPreCompilationDeps: true },
};
