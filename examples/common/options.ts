/** The command line of an example: options by name, each read and checked by what it has to be. */
import fs from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";

/** What the user can put right: shown as one line, without a stack trace. */
export class UsageError extends Error {}

/** What an example asks of its command line: the text of `--help`, or settings. */
export type Asked<S> = S | { readonly help: string };

/**
 * `--name value` and `--name=value`. Every reader returns its `fallback` where the option is not given,
 * and throws UsageError for a value that is not what it expects.
 */
export class CommandLine {
  readonly #given = new Map<string, string>();

  /** `names`: the options there are, besides --help. Throws UsageError for all others. */
  constructor(args: readonly string[], names: readonly string[]) {
    const options = {
      ...Object.fromEntries(names.map((name) => [name, { type: "string" as const }])),
      help: { type: "boolean" as const, short: "h" },
    };
    // Not strict: the messages are better made here.
    const { tokens } = parseArgs({ args: [...args], options, strict: false, tokens: true });
    for (const token of tokens) {
      if (token.kind === "positional") {
        throw new UsageError(
          `unexpected argument "${token.value}"; options come after "--": npm run EXAMPLE -- --seed 2`,
        );
      }
      if (token.kind !== "option") continue;
      const { name, rawName, value } = token;
      if (name !== "help" && !names.includes(name)) {
        throw new UsageError(`unknown option ${rawName}; --help lists the known ones`);
      }
      if (name === "help" && value !== undefined) {
        throw new UsageError(`--help is "${value}"; expected no value`);
      }
      if (name !== "help" && (value === undefined || value.startsWith("--"))) {
        throw new UsageError(`--${name} has no value; --help says what is expected`);
      }
      this.#given.set(name, value ?? "");
    }
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  /** Any text. */
  text(name: string, fallback: string): string {
    return this.#given.get(name) ?? fallback;
  }

  /** One of `values`; the first is the default. */
  choice<const T extends string>(name: string, values: readonly T[]): T {
    const text = this.#given.get(name);
    if (text === undefined) return values[0];
    const value = values.find((known) => known === text);
    return value ?? wrong(name, text, values.join(" or "));
  }

  /** A whole number from `min` to `max`. */
  whole(name: string, fallback: number, min: number, max?: number): number {
    const text = this.#given.get(name);
    if (text === undefined) return fallback;
    const n = /^\d+$/.test(text) ? Number(text) : NaN;
    if (n >= min && n <= (max ?? Number.MAX_SAFE_INTEGER)) return n;
    return wrong(
      name,
      text,
      `a whole number from ${min} ${max === undefined ? "up" : `to ${max}`}`,
    );
  }

  positive(name: string, fallback: number): number {
    const text = this.#given.get(name);
    if (text === undefined) return fallback;
    const x = Number(text);
    return x > 0 && x < Infinity ? x : wrong(name, text, "a number above 0");
  }

  threads(): number | "auto" {
    const text = this.#given.get("threads") ?? "auto";
    if (text === "auto") return text;
    const n = Number(text);
    return Number.isInteger(n) && n >= 1 && n <= 64
      ? n
      : wrong("threads", text, "1 to 64, or auto");
  }

  /** A file to read, or undefined. */
  readable(name: string): string | undefined {
    const file = this.#given.get(name);
    if (file === undefined) return undefined;
    if (fs.statSync(file, { throwIfNoEntry: false })?.isFile()) return file;
    return wrong(name, file, "the path of a file");
  }

  /** A path that can be written to: better to know now than when training is done. */
  writable(name: string, fallback: string): string {
    const file = this.#given.get(name) ?? fallback;
    if (file === "") wrong(name, file, "the path of a file");
    if (fs.statSync(file, { throwIfNoEntry: false })?.isDirectory()) {
      wrong(name, file, "a file; this is a directory");
    }
    try {
      fs.accessSync(path.dirname(file), fs.constants.W_OK);
    } catch {
      wrong(name, file, `a path in an existing directory that may be written to`);
    }
    return file;
  }
}

function wrong(name: string, value: string, expected: string): never {
  throw new UsageError(`--${name} is "${value}"; expected ${expected}`);
}
