#!/usr/bin/env node
/** `npx roadless COMMAND`: the tools that come with the library. */
import { RoadlessError, ValueError } from "./index.ts";
import type { RunSpec, VectorFamily } from "./vectors/index.ts";
import { exportVectors } from "./vectors/index.ts";

interface Command {
  /** One line for the list of commands. */
  readonly summary: string;
  readonly help: string;
  /** Runs it; the exit code. */
  run(args: readonly string[]): Promise<number>;
}

/** What the user typed has no meaning: exit code 2, with the way to the help. */
class UsageError extends Error {}

const vectors: Command = {
  summary: "write golden/1 vectors, to check another engine against",
  help: `usage: roadless vectors --out DIR [options]

Records operations with gradients, optimizers step by step, and whole training runs on roadless's
float64 reference, and writes them as golden/1 JSON with a README.md that explains them.

  --out DIR        where to; made if it is not there, files in it are replaced
  --only FAMILY    ops, optim or traces alone
  --filter TEXT    only the cases whose "file case" contains TEXT, as in "ops/conv conv2d"
  --seed N         what the numbers are made from (default 0)
  --runs FILE      JSON with a list of training runs of your own, instead of the built-in ones:
                   [{"name", "layers", "data": {"input", "classes"}, "optimizers", "steps"}]
  -h, --help       this text`,

  async run(args) {
    const options = await parse(args, ["out", "only", "filter", "seed", "runs"]);
    const { out, only, filter, seed = "0", runs } = options;
    if (out === undefined) throw new UsageError("vectors: --out is missing; expected a folder");
    if (!/^\d+$/.test(seed)) {
      throw new UsageError(`vectors: --seed is "${seed}"; expected a whole number from 0 up`);
    }
    const start = performance.now();
    let total = 0;
    const { stderr } = process;
    const files = await exportVectors({
      directory: out,
      only: only as VectorFamily | undefined,
      filter,
      seed: Number(seed),
      runs: runs === undefined ? undefined : await readRuns(runs),
      onFile: (path, cases) => {
        total += cases;
        if (stderr.isTTY) stderr.write(`\r\u001b[K${path}: ${cases} cases`);
      },
    });
    if (stderr.isTTY) stderr.write("\r\u001b[K");
    const seconds = ((performance.now() - start) / 1000).toFixed(1);
    console.log(`${total} cases in ${files.size} files below ${out} (${seconds} s)`);
    return 0;
  },
};

const commands: Readonly<Record<string, Command>> = { vectors };

const list = Object.entries(commands).map(([name, { summary }]) => `  ${name}   ${summary}`);
const usage = `usage: roadless COMMAND [options]

${list.join("\n")}

\`roadless COMMAND --help\` says more.`;

/** Text options alone; no arguments beside them. */
async function parse(
  args: readonly string[],
  names: readonly string[],
): Promise<Record<string, string | undefined>> {
  const { parseArgs } = await import("node:util");
  const options = Object.fromEntries(names.map((name) => [name, { type: "string" as const }]));
  try {
    return parseArgs({ args: [...args], options }).values as Record<string, string | undefined>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

async function readRuns(path: string): Promise<RunSpec[]> {
  const { readFileSync } = await import("node:fs");
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new ValueError(`vectors: cannot read ${path}: ${(cause as Error).message}`, { cause });
  }
  return ([content].flat() as Partial<RunSpec>[]).map((run) => {
    const { name, layers, data, optimizers = [] } = run;
    const named = optimizers.length > 0 && optimizers.every((one) => typeof one.class === "string");
    if (typeof name !== "string" || !Array.isArray(layers) || !data || !named) {
      throw new ValueError(
        `vectors: a run in ${path} is ${JSON.stringify(run).slice(0, 200)}; ` +
          'expected a name, layers, data and optimizers, each with a class: [{ "class": "SGD" }]',
      );
    }
    const complete = optimizers.map((one) => ({ ...one, options: one.options ?? {} }));
    return { ...run, name, layers, data, optimizers: complete };
  });
}

/** The exit code: 0, 1 when the command fails, 2 when the line has no meaning. */
async function main([name = "--help", ...args]: readonly string[]): Promise<number> {
  if (name === "--help" || name === "-h" || name === "help") {
    console.log(usage);
    return 0;
  }
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  try {
    if (command === undefined) throw new UsageError(`there is no command "${name}"`);
    if (args.includes("--help") || args.includes("-h")) {
      console.log(command.help);
      return 0;
    }
    return await command.run(args);
  } catch (error) {
    if (error instanceof UsageError) {
      const more = command === undefined ? "" : ` ${name}`;
      console.error(`roadless: ${error.message}\nroadless${more} --help lists what there is`);
      return 2;
    }
    if (!(error instanceof RoadlessError)) throw error;
    console.error(`roadless: ${error.message}`);
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
