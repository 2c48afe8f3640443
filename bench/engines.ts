/** Which engines there are on this machine, and the processes they run in. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import os from "node:os";
import path from "node:path";
import { buildSync } from "esbuild";
import { Cannot, Client } from "./client.ts";
import type { Options } from "./options.ts";

export type Group = "machine" | "roadless" | "pytorch" | "jax-js" | "tfjs" | "gcc";

export class Engine {
  /** What tables and files call it. */
  readonly name: string;
  readonly group: Group;
  readonly threads: number;
  readonly fused: boolean;
  private readonly command: () => readonly string[];
  private client: Client | undefined;
  /** Why it cannot even start, once known: not tried again. */
  private missing: Cannot | undefined;

  constructor(
    name: string,
    group: Group,
    command: () => readonly string[],
    { threads = 1, fused = false } = {},
  ) {
    this.name = name;
    this.group = group;
    this.command = command;
    this.threads = threads;
    this.fused = fused;
  }

  /** Its process, started if there is none. Throws Cannot. */
  open(): Client {
    if (this.missing !== undefined) throw this.missing;
    if (this.client === undefined || !this.client.alive) this.client = this.start();
    return this.client;
  }

  /** A process of its own, for what depends on the past. The caller stops it. Throws Cannot. */
  start(): Client {
    try {
      return new Client(this.command());
    } catch (error) {
      if (error instanceof Cannot) this.missing = error;
      throw error;
    }
  }

  close(): void {
    this.client?.stop();
    this.client = undefined;
  }
}

export function findEngines({ threads, precisions, peers, python }: Options): Engine[] {
  const script = (name: string, ...args: string[]) => {
    return () => [process.execPath, bundled(name), ...args];
  };
  const machine = [process.execPath, "--import", "tsx", "bench/engines/machine.ts"];
  const engines = [new Engine("machine", "machine", () => machine)];
  for (const count of threads) {
    for (const precision of precisions) {
      const command = script("roadless", precision, String(count));
      const kind = { threads: count, fused: precision === "fast" };
      engines.push(new Engine(`${precision} ${count}`, "roadless", command, kind));
    }
  }
  for (const [name, flags] of Object.entries(compilers)) {
    engines.push(new Engine(name, "gcc", () => compileNative(flags)));
  }
  if (!peers) return engines;
  engines.push(new Engine("pytorch", "pytorch", () => pytorch(python, Math.max(...threads))));
  engines.push(new Engine("jax-js", "jax-js", script("jax")));
  engines.push(new Engine("tfjs", "tfjs", script("tfjs")));
  return engines;
}

/** Debian's packages belong to the system's own interpreter, which need not be the first in the path. */
function pytorch(chosen: string, threads: number): string[] {
  const candidates = chosen === "" ? ["python3", "/usr/bin/python3"] : [chosen];
  for (const python of candidates) {
    if (spawnSync(python, ["-c", "import torch"]).status === 0) {
      return [python, "bench/engines/pytorch.py", String(threads)];
    }
  }
  throw new Cannot(`no torch in ${candidates.join(", ")}`);
}

/** Beside 128 bits as WebAssembly has them, everything that the processor has. */
const compilers: Readonly<Record<string, readonly string[]>> = {
  "gcc -O3": ["-O3", "-fno-math-errno"],
  native: ["-O3", "-march=native", "-fno-math-errno"],
};

function compileNative(flags: readonly string[]): string[] {
  const folder = mkdtempSync(path.join(os.tmpdir(), "roadless-bench-"));
  process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
  const program = path.join(folder, "native");
  const { error, status, stderr } = spawnSync(
    "gcc",
    [...flags, "-std=gnu11", "-o", program, "bench/engines/native.c", "-lm"],
    { encoding: "utf8" },
  );
  if (error) throw new Cannot("no gcc");
  if (status !== 0) throw new Cannot(`gcc: ${stderr.trim().split("\n")[0]}`);
  return [program];
}

/** An engine's program in JavaScript: Node runs it as users run theirs, without a compiler in the process. */
function bundled(name: string): string {
  const outfile = `bench/engines/.built/${name}.mjs`;
  buildSync({
    entryPoints: [`bench/engines/${name}.ts`],
    outfile,
    bundle: true,
    packages: "external",
    platform: "node",
    format: "esm",
    target: "node20",
  });
  return outfile;
}
