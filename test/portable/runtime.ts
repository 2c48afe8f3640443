/**
 * Runs the suites in another JavaScript runtime: `node --import tsx test/portable/runtime.ts [--webgpu] [--only TEXT]
 * NAME COMMAND…`, for example `Deno deno run`. The bundle's path is added to the command. With --webgpu they are those
 * of that device, with --only the files whose path contains TEXT.
 */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Outcome } from "./report.ts";
import { bundleSuites, choose, show, timeoutSeconds } from "./report.ts";

async function main(): Promise<number> {
  const chosen = choose(process.argv.slice(2));
  const [name, command, ...args] = chosen.rest;
  if (command === undefined) {
    console.error("usage: runtime.ts [--webgpu] [--only TEXT] NAME COMMAND…");
    return 2;
  }
  const folder = mkdtempSync(path.join(os.tmpdir(), "roadless-runtime-"));
  try {
    const file = path.join(folder, "suites.mjs");
    writeFileSync(file, await bundleSuites(chosen));
    const result = spawnSync(command, [...args, file], {
      encoding: "utf8",
      timeout: timeoutSeconds * 1000,
    });
    const line = result.stdout?.split("\n").find((text) => text.startsWith("REPORT "));
    const outcome: Outcome = line
      ? (JSON.parse(line.slice("REPORT ".length)) as Outcome)
      : { broken: `no report: ${result.error ?? result.stderr}\n${result.stdout}` };
    return show(name, outcome);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
