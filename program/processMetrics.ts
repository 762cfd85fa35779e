import { readdirSync } from "node:fs";
import { performance } from "node:perf_hooks";
import type { Clock } from "../core/clock.js";
import type { Meter } from "../core/meter.js";

/** The usual metrics of a process, looked up when somebody asks: nothing listens or ticks in between. */
export function processMetrics(meter: Meter, clock: Clock): void {
  const started = clock.now() / 1000 - process.uptime();
  const one = (value: () => number) => () => [[{}, value()]] as const;
  const total = (name: string, help: string, value: () => number) => meter.total(name, help, [], one(value));
  const gauge = (name: string, help: string, value: () => number) => meter.gauge(name, help, [], one(value));
  const cpu = () => {
    const { user, system } = process.cpuUsage();
    return (user + system) / 1e6;
  };
  total("process_cpu_seconds_total", "CPU time of this process, user and system", cpu);
  gauge("process_start_time_seconds", "When this process started, seconds since 1970", () => started);
  gauge("process_resident_memory_bytes", "Resident memory", () => process.memoryUsage.rss());
  gauge("process_open_fds", "Open file descriptors", () => readdirSync("/proc/self/fd").length - 1);
  gauge("nodejs_heap_size_used_bytes", "What is in use of V8's heap", () => process.memoryUsage().heapUsed);
  gauge("nodejs_external_memory_bytes", "Memory outside of V8's heap that hangs on objects in it", () => process.memoryUsage().external);
  const busy = () => performance.eventLoopUtilization().active / 1000;
  total("nodejs_eventloop_active_seconds_total", "How long the event loop was at work; the rest of the time it waited", busy);
}
