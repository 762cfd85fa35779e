#!/usr/bin/env -S node --max-semi-space-size=16
import { runProgram } from "../program/run.js";
import { registrySettings } from "./config.js";
import { start } from "./start.js";

await runProgram("nsm-registry", registrySettings, ({ config, ...parts }) => start(config, parts));
