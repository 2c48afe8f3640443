/** The command line. */
import os from "node:os";
import { parseArgs } from "node:util";

const usage = `usage: npm run bench -- [options]
       npm run bench -- --compare OLD NEW

Measures kernels and training steps beside the machine's own limits and other engines, in turns, and
prints the best of all samples with the distance of their median ("34.8+4%": 34.8 ms at best, the median
4 % more; "45.2-3%": 45.2 GFLOP/s at best, the median 3 % less). docs/benchmarks.md explains the rows.

  --only TEXT,TEXT    rows whose "section: name" contains one of the texts, for example "gemm" or "cnn"
  --threads LIST      thread counts of roadless (default: 1 and all cores, here ${defaultThreads()})
  --precision LIST    strict, fast or both (default: strict,fast)
  --quick             shorter turns, the largest shapes left out: figures to look at, not to quote
  --json FILE         where the figures go (default: bench/results/DATE-nodeVERSION[-quick].json, only if
                      --only is not given; - for nowhere)
  --device webgpu     the GPU instead: its limits through WebGPU, products, convolutions, fused steps, training steps
  --no-peers          without PyTorch, jax-js and tfjs
  --python FILE       the interpreter that has torch (default: python3 or /usr/bin/python3)
  --list              the names of the rows, and nothing measured
  --compare OLD NEW   what changed between two files of figures, the largest change first
  -h, --help          this`;

export interface Options {
  readonly only: readonly string[];
  readonly threads: readonly number[];
  readonly precisions: readonly ("strict" | "fast")[];
  readonly quick: boolean;
  /** "" for nowhere. */
  readonly json: string;
  readonly device: "cpu" | "webgpu";
  readonly peers: boolean;
  /** "" to look for one. */
  readonly python: string;
  readonly list: boolean;
  readonly compare: readonly [string, string] | undefined;
}

/** A mistake of the user's, whose message is all there is to say. */
export class UsageError extends Error {}

function defaultThreads(): string {
  return [...new Set([1, os.availableParallelism()])].join();
}

/** Undefined after --help. */
export function parseOptions(args: string[]): Options | undefined {
  const { values, positionals } = parse(args);
  if (values.help) {
    console.log(usage);
    return undefined;
  }
  const threads = values.threads.split(",").map(Number);
  if (!threads.every((count) => Number.isInteger(count) && count > 0)) {
    throw new UsageError(`--threads is "${values.threads}"; expected counts such as 1,2`);
  }
  const precisions = values.precision.split(",");
  if (!precisions.every((precision) => precision === "strict" || precision === "fast")) {
    throw new UsageError(`--precision is "${values.precision}"; expected strict, fast or both`);
  }
  const { device } = values;
  if (device !== "cpu" && device !== "webgpu") {
    throw new UsageError(`--device is "${device}"; expected cpu or webgpu`);
  }
  if (values.compare ? positionals.length !== 2 : positionals.length !== 0) {
    throw new UsageError(
      values.compare
        ? `--compare takes two files, found ${positionals.length}`
        : `"${positionals[0]}" is no option; see --help`,
    );
  }
  return {
    only: values.only === "" ? [] : values.only.split(","),
    threads,
    precisions: precisions as Options["precisions"],
    quick: values.quick,
    json: jsonFile(values.json, values.only !== "", values.quick, device),
    device,
    peers: !values["no-peers"],
    python: values.python,
    list: values.list,
    compare: values.compare ? [positionals[0], positionals[1]] : undefined,
  };
}

function parse(args: string[]) {
  try {
    return parseArgs({
      args,
      allowPositionals: true,
      options: {
        only: { type: "string", default: "" },
        threads: { type: "string", default: defaultThreads() },
        precision: { type: "string", default: "strict,fast" },
        quick: { type: "boolean", default: false },
        json: { type: "string", default: "" },
        device: { type: "string", default: "cpu" },
        "no-peers": { type: "boolean", default: false },
        python: { type: "string", default: "" },
        list: { type: "boolean", default: false },
        compare: { type: "boolean", default: false },
        help: { type: "boolean", short: "h", default: false },
      },
    });
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

function jsonFile(given: string, partial: boolean, quick: boolean, device: string): string {
  if (given === "-") return "";
  if (given !== "") return given;
  if (partial) return ""; // part of the figures would replace all of them
  const date = new Date().toISOString().slice(0, 10);
  const node = process.versions.node.split(".")[0];
  return `bench/results/${date}-node${node}${device === "cpu" ? "" : `-${device}`}${quick ? "-quick" : ""}.json`;
}
