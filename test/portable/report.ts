/** What play.ts reports, and what browser.ts and runtime.ts share. */
import { build } from "esbuild";

export interface Report {
  isolated: boolean;
  /** What the tests ran on, in words. */
  device: string;
  passed: number;
  skipped: string[];
  failures: string[];
}

/** `broken`: the suites did not come to their end. */
export type Outcome = Report | { broken: string };

/** The suites of the processor (suites.ts), or of device "webgpu" (webgpu.ts). */
export type Suites = "suites" | "webgpu";

/** The suites and all they import, as one module. */
export async function bundleSuites(suites: Suites): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [`test/portable/${suites}.ts`],
    bundle: true,
    format: "esm",
    target: "es2022",
    platform: "browser",
    tsconfig: "tsconfig.json",
    keepNames: true,
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
  const { device, passed, skipped, failures } = outcome;
  console.log(`${where}: ${device}`);
  for (const text of skipped) console.log(`  skipped: ${text}`);
  for (const text of failures) console.log(`  FAIL ${text}`);
  console.log(`${passed} passed, ${failures.length} failed`);
  return failures.length > 0 || passed === 0 ? 1 : 0;
}
