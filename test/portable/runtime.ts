/**
 * Runs the suites in another JavaScript runtime: `node --import tsx test/portable/runtime.ts [--webgpu] [--only TEXT]
 * NAME COMMAND…`, for example `Deno deno run`. The bundle's path is added to the command. With --webgpu they are those
 * of that device, with --only the files whose path contains TEXT.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import type { Outcome } from "./report.ts";
import { bundleSuites, choose, show, silenceSeconds } from "./report.ts";

/** Runs the program to its end, or until it hangs. */
function play(command: string, args: string[]): Promise<Outcome> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  let [output, errors] = ["", ""];
  const timer = setTimeout(() => {
    errors += `silent for ${silenceSeconds} s`;
    child.kill("SIGKILL");
  }, silenceSeconds * 1000);
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    output += text;
    timer.refresh();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  return new Promise((resolve) => {
    const end = (reason: string): void => {
      clearTimeout(timer);
      const line = output.split("\n").find((text) => text.startsWith("REPORT "));
      resolve(
        line === undefined
          ? { broken: `no report: ${reason}\n${errors}\n${output}` }
          : (JSON.parse(line.slice("REPORT ".length)) as Outcome),
      );
    };
    child.on("error", (error) => end(String(error)));
    child.on("close", (code) => end(`it ended with code ${code}`));
  });
}

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
    return show(name, await play(command, [...args, file]));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main();
