/** What play.ts reports, and what browser.ts and runtime.ts share. */
import { build } from "esbuild";

export interface Report {
  isolated: boolean;
  /** What the tests ran on, in words. */
  device: string;
  passed: number;
  /** How long each suite took, in words. */
  suites: string[];
  skipped: string[];
  failures: string[];
}

/** `broken`: the suites did not come to their end. */
export type Outcome = Report | { broken: string };

/** The suites of the processor (suites.ts), or of device "webgpu" (webgpu.ts). */
export type Suites = "suites" | "webgpu";

/** Suites that say nothing for so long hang: a line follows every test, and the harness ends those that take 120 s. */
export const silenceSeconds = 300;

/** What the programs' arguments begin with: `[--webgpu] [--only TEXT]`. */
export interface Chosen {
  suites: Suites;
  /** Only test files whose path contains this. */
  only: string;
  /** The other arguments. */
  rest: string[];
}

export function choose(args: string[]): Chosen {
  const chosen: Chosen = { suites: "suites", only: "", rest: [...args] };
  const { rest } = chosen;
  if (rest[0] === "--webgpu") {
    rest.shift();
    chosen.suites = "webgpu";
  }
  if (rest[0] === "--only") [, chosen.only = ""] = rest.splice(0, 2);
  return chosen;
}

/** The suites and all they import, as one module. */
export async function bundleSuites({ suites, only }: Chosen): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`test/portable/${suites}.ts`],
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    tsconfig: "tsconfig.json",
    keepNames: true,
    define: { ONLY: JSON.stringify(only) },
    write: false,
  });
  return outputFiles[0].text;
}

/** Prints an outcome; the exit code. */
export function show(where: string, outcome: Outcome): number {
  if ("broken" in outcome) {
    console.error(`${where}: ${outcome.broken}`);
    return 1;
  }
  const { device, passed, suites, skipped, failures } = outcome;
  console.log(`${where}: ${device}`);
  for (const text of suites) console.log(`  ${text}`);
  for (const text of skipped) console.log(`  skipped: ${text}`);
  for (const text of failures) console.log(`  FAIL ${text}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length > 0 || passed === 0 ? 1 : 0;
}
