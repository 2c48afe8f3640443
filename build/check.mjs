// `npm run check`: lint, format and types of everything, and what a user's compiler makes of the
// published declarations. Runs all checks, shows the output of those that fail.

import { spawn } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const folders = ["src", "assembly", "test", "bench", "examples", "build"];
const root = fileURLToPath(new URL("..", import.meta.url));
const tools = path.join(root, "node_modules");
const tsc = path.join(tools, "typescript/bin/tsc");

const here = folders.filter((folder) => fs.existsSync(path.join(root, folder)));
const checks = {
  lint: () => run([path.join(tools, "oxlint/bin/oxlint"), ...here]),
  format: () => run([path.join(tools, "oxfmt/bin/oxfmt"), "--check", ...here]),
  types: () => run([tsc, "-p", "tsconfig.json"]),
  "types of assembly": () => run([tsc, "-p", "assembly/tsconfig.json"]),
  "types for users": checkDeclarations,
  package: () => run([path.join(tools, "publint/src/cli.js"), "--strict"]),
};

let failed = 0;
for (const [name, check] of Object.entries(checks)) {
  const { code, output } = await check();
  console.log(`${code === 0 ? "✔" : "✘"} ${name}`);
  if (code === 0) continue;
  console.log(output.trim());
  failed++;
}
process.exitCode = failed ? 1 : 0;

/** Compiles `import * as roadless from "roadless"` in a bare project, as both resolvers read it. */
async function checkDeclarations() {
  const project = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-types-"));
  try {
    const installed = path.join(project, "node_modules/roadless");
    fs.mkdirSync(path.join(installed, "dist"), { recursive: true });
    fs.copyFileSync(path.join(root, "package.json"), path.join(installed, "package.json"));
    fs.cpSync(path.join(root, "dist/types"), path.join(installed, "dist/types"), {
      recursive: true,
    });
    const source =
      'import * as roadless from "roadless";\nimport * as vectors from "roadless/vectors";\n' +
      "export const names: {}[] = [roadless, vectors];\n";
    fs.writeFileSync(path.join(project, "user.mts"), source);
    // Bare: no @types, no `using` in its lib, and declarations checked rather than skipped.
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"];
    for (const module of ["nodenext", "bundler"]) {
      const resolution = module === "nodenext" ? [] : ["--moduleResolution", "bundler"];
      const kind = ["--module", module === "nodenext" ? "nodenext" : "esnext", ...resolution];
      const result = await run([tsc, ...options, ...kind, "user.mts"], project);
      if (result.code !== 0) return result;
    }
    return { code: 0, output: "" };
  } finally {
    fs.rmSync(project, { recursive: true, force: true });
  }
}

function run(args, cwd = root) {
  const child = spawn(process.execPath, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}
