/** Plays golden/1 files: finds them, hands each case to its player, counts what comes of it. */
import type { DeviceName } from "../../src/index.ts";
import type { AverageCase } from "./averages.ts";
import { playAverageCase } from "./averages.ts";
import type { FloatType, GoldenFile } from "../../src/vectors/format.ts";
import type { OperationCase } from "../../src/vectors/operation-run.ts";
import { listFiles, readBytes } from "../files.ts";
import type { Outcome } from "./compare.ts";
import { attempt, deviceFor } from "./compare.ts";
import { playOpCase } from "./ops.ts";
import type { OptimizerCase } from "../../src/vectors/optimizer-record.ts";
import { playOptimCase } from "./optim.ts";
import type { SchedulerCase } from "./schedulers.ts";
import { playSchedulerCase } from "./schedulers.ts";
import type { TraceFile } from "./traces.ts";
import { playTrace } from "./traces.ts";

export interface PlayOptions {
  /** Play only the cases that this device plays: the reference float64, others float32. */
  device?: DeviceName;
  /** Play only cases whose "file case" contains this text. */
  only?: string;
  /** Stop training runs after so many steps. Default: all. */
  steps?: number;
}

export interface PlayedCase {
  name: string;
  dtype: FloatType;
  outcome: Outcome;
}

/** All .json files under a folder (or the one file), sorted. */
export async function goldenFiles(root: string): Promise<string[]> {
  const files = await listFiles(root);
  return files.filter((file) => file === root || file.endsWith(".json"));
}

export async function readGolden(file: string): Promise<GoldenFile> {
  const bytes = await readBytes(file);
  let content: unknown;
  try {
    content = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw new Error(`${file} is not JSON: ${(cause as Error).message}`, { cause });
  }
  const { format } = content as GoldenFile;
  if (format !== "golden/1") {
    throw new Error(`${file} has the format ${JSON.stringify(format)}; expected "golden/1"`);
  }
  return content as GoldenFile;
}

/** Plays a file's cases in order. */
export async function* playFile(
  golden: GoldenFile,
  options: PlayOptions = {},
): AsyncGenerator<PlayedCase> {
  const [family, name] = golden.file.split("/");
  const wanted = (dtype: FloatType): DeviceName | null => {
    const { device = deviceFor[dtype] } = options;
    return (dtype === "float64") === (device === "reference") ? device : null;
  };
  const chosen = (label: string): boolean => `${golden.file} ${label}`.includes(options.only ?? "");
  if (family === "traces") {
    const file = golden as unknown as TraceFile;
    for (const run of file.cases) {
      for (const dtype of ["float64", "float32"] as const) {
        const label = `${run.name}/${dtype}`;
        const device = wanted(dtype);
        if (device === null || !chosen(label)) continue;
        yield {
          name: label,
          dtype,
          outcome: await playTrace(file, run, dtype, { device, steps: options.steps }),
        };
      }
    }
    return;
  }
  for (const played of golden.cases as (OperationCase | OptimizerCase)[]) {
    const { name: label, dtype = "float64" } = played;
    const device = wanted(dtype);
    if (device === null || !chosen(label)) continue;
    const outcome = await attempt(async (): Promise<Outcome> => {
      if (family === "ops") return playOpCase(name, played as OperationCase, device);
      if (family === "optim" && "events" in played && "groups" in played) {
        return playOptimCase(played as OptimizerCase, device);
      }
      if (family === "optim" && "base_lr" in played) {
        return playSchedulerCase(played as unknown as SchedulerCase);
      }
      if (family === "optim" && "kind" in played) {
        return playAverageCase(played as unknown as AverageCase, device);
      }
      return { status: "unsupported", worst: NaN, message: golden.file };
    });
    yield { name: label, dtype, outcome };
  }
}

/** The same, all at once. */
export async function playAll(golden: GoldenFile, options?: PlayOptions): Promise<PlayedCase[]> {
  const played: PlayedCase[] = [];
  for await (const one of playFile(golden, options)) played.push(one);
  return played;
}
