/** Writes golden/1 files from the float64 reference: for others to check their engines against. */
import { ValueError } from "../index.ts";
import { makeFolder, writeFile } from "../files.ts";
import { operationFiles } from "./cases/index.ts";
import { optimizerFiles } from "./cases/optimizers.ts";
import { runs as builtInRuns } from "./cases/runs.ts";
import { averageCases, schedulerCases } from "./cases/schedules.ts";
import { encodeFile } from "./format.ts";
import { hashOf } from "./hash.ts";
import { labelOf, recordOperation } from "./operation-record.ts";
import type { OperationCase } from "./operation-run.ts";
import type { OptimizerCase } from "./optimizer-record.ts";
import { recordAverage, recordOptimizer, recordScheduler } from "./optimizer-record.ts";
import { readme } from "./readme.ts";
import type { RunSpec } from "./training-record.ts";
import { recordRun, traceHead } from "./training-record.ts";
import { version } from "./version.ts";

export type VectorFamily = "ops" | "optim" | "traces";

export interface ExportOptions {
  /** One family alone. Default: all three. */
  readonly only?: VectorFamily;
  /** What inputs, gradients, weights and data are made from. Default 0. */
  readonly seed?: number;
  /** Only cases whose "file case" contains this text, as in `ops/conv conv2d_3x3/float64`. */
  readonly filter?: string;
  /** Write the files below this folder too (Node, Deno, Bun). It is made if it is not there. */
  readonly directory?: string;
  /** Training runs of your own, instead of the built-in ones. */
  readonly runs?: readonly RunSpec[];
  /** Cases of your own, from `recordVectors`: they go to `ops/own.json`. */
  readonly operations?: readonly OperationCase[];
  /** And from `recordOptimizer`, to `optim/own.json`. */
  readonly optimizers?: readonly OptimizerCase[];
  /** Told of each file when it is done. */
  readonly onFile?: (path: string, cases: number) => void;
}

type Named = { readonly name: string };

/** A file to be made: its cases by name, each made when it is chosen. */
interface Plan {
  readonly file: string;
  readonly head: () => object;
  readonly cases: readonly { readonly name: string; readonly make: (head: object) => Named }[];
}

const types = ["float64", "float32"] as const;

/**
 * Records operations with gradients, optimizers step by step, and whole training runs on the float64
 * reference. The same options give the same bytes.
 *
 * @returns text by path: golden/1 files such as `ops/conv.json`, with a README.md and a manifest.json
 * @throws ValueError for options without meaning, and when nothing is chosen
 */
export async function exportVectors(options: ExportOptions = {}): Promise<Map<string, string>> {
  const { only, seed = 0, filter = "", directory, onFile } = options;
  if (only !== undefined && only !== "ops" && only !== "optim" && only !== "traces") {
    throw new ValueError(
      `exportVectors: only is "${String(only)}"; expected "ops", "optim" or "traces"`,
    );
  }
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ValueError(
      `exportVectors: seed is ${String(seed)}; expected a whole number from 0 to 2^53 - 1`,
    );
  }
  const files = new Map<string, string>();
  const listed: object[] = [];
  const emit = (path: string, text: string): void => {
    files.set(path, text);
    if (directory === undefined) return;
    const instead = "leave out the directory, and take the text from what exportVectors returns";
    const full = `${directory}/${path}`;
    makeFolder("exportVectors", full.slice(0, full.lastIndexOf("/")), instead);
    writeFile("exportVectors", full, new TextEncoder().encode(text), instead);
  };
  const source = `roadless ${version}, float64 reference`;
  for (const { file, head: makeHead, cases: planned } of plans(options, seed)) {
    if (only !== undefined && !file.startsWith(`${only}/`)) continue;
    const chosen = planned.filter(({ name }) => `${file} ${name}`.includes(filter));
    if (chosen.length === 0) continue;
    // A page, or a progress line, gets its turn.
    await new Promise((resolve) => setTimeout(resolve, 0));
    const head = makeHead();
    const cases = chosen.map(({ make }) => make(head));
    const text = encodeFile({
      format: "golden/1",
      source,
      file,
      set: "roadless",
      seed,
      ...head,
      cases,
    });
    const path = `${file}.json`;
    emit(path, text);
    const hash = hashOf(new TextEncoder().encode(text));
    listed.push({ path, cases: cases.length, fnv1a: hash });
    onFile?.(path, cases.length);
  }
  if (files.size === 0) {
    throw new ValueError(
      `exportVectors: no case contains "${filter}"${only === undefined ? "" : ` in ${only}`}; ` +
        'expected part of a file and case, as in "ops/conv conv2d_3x3/float64"',
    );
  }
  // A file without cases: players take every .json below a folder.
  const head = { format: "golden/1", source, file: "manifest", version, seed, only, filter };
  emit("manifest.json", encodeFile({ ...head, files: listed, cases: [] }));
  emit("README.md", readme({ version, seed }));
  return files;
}

function plans(options: ExportOptions, seed: number): Plan[] {
  const { runs = builtInRuns, operations = [], optimizers = [] } = options;
  const none = (): object => ({});
  const own = (file: string, cases: readonly Named[]): Plan => {
    return { file, head: none, cases: cases.map((one) => ({ name: one.name, make: () => one })) };
  };
  const ofRows = Object.entries(operationFiles).map(([name, rows]): Plan => ({
    file: `ops/${name}`,
    head: none,
    cases: rows.flatMap((row) =>
      types.map((dtype) => ({
        name: `${labelOf(row)}/${dtype}`,
        make: () => recordOperation(row, dtype, seed),
      })),
    ),
  }));
  const ofOptimizers = [...optimizerFiles()].map(([name, builds]): Plan => {
    const specs = builds.flatMap((build) => types.map((dtype) => build(seed, dtype)));
    return {
      file: `optim/${name}`,
      head: none,
      cases: specs.map((spec) => ({ name: spec.name, make: () => recordOptimizer(spec) })),
    };
  });
  const schedulers: Plan = {
    file: "optim/lr_schedulers",
    head: none,
    cases: schedulerCases.map((build) => {
      const spec = build(seed);
      return { name: spec.name, make: () => recordScheduler(spec) };
    }),
  };
  const averages: Plan = {
    file: "optim/swa_utils",
    head: none,
    cases: averageCases.flatMap((build) =>
      types.map((dtype) => {
        const spec = build(seed, dtype);
        return { name: spec.name, make: () => recordAverage(spec) };
      }),
    ),
  };
  const ofRuns = runs.map((run): Plan => ({
    file: `traces/${run.name}`,
    head: () => traceHead(run, seed),
    cases: run.optimizers.map((optimizer) => ({
      name: `${run.name}/${optimizer.class}`,
      make: (head) => recordRun(run, head as ReturnType<typeof traceHead>, optimizer, seed),
    })),
  }));
  return [
    ...ofRows,
    own("ops/own", operations),
    ...ofOptimizers,
    schedulers,
    averages,
    own("optim/own", optimizers),
    ...ofRuns,
  ];
}
