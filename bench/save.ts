/** Figures as a file: what they are, and all that they depend on. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import os from "node:os";
import { Cannot } from "./client.ts";
import type { Engine } from "./engines.ts";
import { UsageError } from "./options.ts";
import type { Options } from "./options.ts";
import type { Result } from "./row.ts";

export interface Figures {
  readonly format: "roadless-bench/1";
  readonly date: string;
  /** With "+" where the tree had changes. */
  readonly commit: string;
  readonly machine: {
    readonly cpu: string;
    readonly cores: number;
    readonly memoryGB: number;
    readonly platform: string;
    /** Over a minute, when the run began: above 1, something else was running. */
    readonly load: number;
  };
  readonly versions: Record<string, string>;
  readonly options: Pick<Options, "threads" | "precisions" | "quick" | "only">;
  readonly results: readonly Result[];
}

export async function describe(
  engines: readonly Engine[],
  options: Options,
): Promise<Omit<Figures, "results">> {
  const { threads, precisions, quick, only } = options;
  const git = (...args: string[]): string =>
    spawnSync("git", args, { encoding: "utf8" }).stdout?.trim() ?? "";
  return {
    format: "roadless-bench/1",
    date: new Date().toISOString(),
    commit: git("rev-parse", "--short=12", "HEAD") + (git("status", "--porcelain") ? "+" : ""),
    machine: {
      cpu: os.cpus()[0].model,
      cores: os.availableParallelism(),
      memoryGB: Math.round(os.totalmem() / 1e9),
      platform: `${process.platform} ${process.arch}`,
      load: Number(os.loadavg()[0].toFixed(2)),
    },
    versions: await versionsOf(engines),
    options: { threads, precisions, quick, only },
  };
}

async function versionsOf(engines: readonly Engine[]): Promise<Record<string, string>> {
  const versions: Record<string, string> = {};
  for (const engine of engines) {
    try {
      Object.assign(versions, await engine.open().about());
    } catch (error) {
      if (!(error instanceof Cannot)) throw error;
      versions[engine.name] = `none: ${error.message}`;
    }
  }
  return versions;
}

export function save(file: string, figures: Figures): void {
  writeFileSync(file, `${JSON.stringify(figures, null, 1)}\n`);
}

/** Throws UsageError for a file that `save` has not written. */
export function load(file: string): Figures {
  let figures: Partial<Figures>;
  try {
    figures = JSON.parse(readFileSync(file, "utf8")) as Partial<Figures>;
  } catch (error) {
    throw new UsageError(`${file}: ${(error as Error).message}`);
  }
  if (figures.format !== "roadless-bench/1") {
    throw new UsageError(
      `${file}: format is ${JSON.stringify(figures.format)}; expected "roadless-bench/1", as npm run bench writes`,
    );
  }
  return figures as Figures;
}
