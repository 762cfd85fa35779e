import assert from "node:assert/strict";
import { systemClock } from "../../../program/clock.js";
import { PrometheusMeter } from "../../../program/meter.js";
import { processMetrics } from "../../../program/processMetrics.js";
import { metricsIn } from "../../lib/metrics.js";

describe("the metrics of a process", () => {
  it("are of this one, as of now", async () => {
    const meter = new PrometheusMeter();
    processMetrics(meter, systemClock);
    const value = async (name: string) => metricsIn(await meter.text()).get(name)?.[0]?.value ?? Number.NaN;
    assert.ok(Math.abs((await value("process_resident_memory_bytes")) / process.memoryUsage.rss() - 1) < 0.5);
    assert.ok(Math.abs((await value("process_start_time_seconds")) + process.uptime() - Date.now() / 1000) < 1);
    const before = await value("process_cpu_seconds_total");
    const end = performance.now() + 30;
    while (performance.now() < end);
    assert.ok((await value("process_cpu_seconds_total")) > before);
    assert.ok((await value("process_open_fds")) >= 3);
    assert.ok((await value("nodejs_heap_size_used_bytes")) > 1e6);
    assert.ok((await value("nodejs_eventloop_active_seconds_total")) > 0);
  });
});
