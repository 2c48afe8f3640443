// Builds everything that is generated, each stage only when its inputs changed:
//   kernels  assembly/ → dist/kernels/*.wasm and src/backend/wasm/binaries.ts
//   bundle   src/      → dist/index.js, dist/chunks/*.js (dynamic imports); dist/webgpu.js, which it loads when
//                        asked for; dist/vectors.js and dist/cli.js; all three import it
//   types    src/      → dist/types/**/*.d.ts
// `node build/build.mjs --kernels` stops after the first. Prints nothing when all is up to date.

import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import v8 from "node:v8";
import { Worker } from "node:worker_threads";

/** asconfig.json's targets. The threaded ones differ from the others in how they declare memory. */
const targets = ["strict", "relaxed", "strict-threads", "relaxed-threads"];
const maximumPages = 65536; // of 64 KiB
const binariesFile = "src/backend/wasm/binaries.ts";
const stampFile = "dist/.stamp.json";
const lockFile = "dist/.lock";

class BuildError extends Error {}

async function kernels() {
  const { default: asc } = await import("assemblyscript/asc");
  const config = JSON.parse(fs.readFileSync("asconfig.json", "utf8"));
  const built = {};
  for (const target of targets) checkOptions(asc, config, target);
  const pending = [...targets];
  const work = async () => {
    for (let target = pending.shift(); target; target = pending.shift()) {
      built[target] = await compile(target, config.targets[target].outFile);
      await checkBinary(target, built[target]);
    }
  };
  await Promise.all(Array.from({ length: Math.min(os.availableParallelism(), 4) }, work));
  // Everything is good: only now replace what the last build left.
  for (const target of targets) writeFile(config.targets[target].outFile, built[target]);
  writeFile(binariesFile, binariesSource(built));
  const size = (target) => `${target} ${Math.ceil(built[target].length / 1024)} KiB`;
  return targets.map(size).join(", ");
}

/** asc ignores unknown targets and options without a word. */
function checkOptions(asc, config, target) {
  const options = { ...config.options, ...config.targets[target] };
  if (!config.targets[target]) throw new BuildError(`asconfig.json: no target '${target}'`);
  for (const name of Object.keys(options)) {
    if (!(name in asc.options))
      throw new BuildError(`asconfig.json: asc knows no option '${name}'`);
  }
}

/** In a worker thread, so that several targets compile at once. */
async function compile(target, outFile) {
  const worker = new Worker(new URL("kernel.mjs", import.meta.url), {
    workerData: { target, outFile },
  });
  const [{ said, error, binary }] = await once(worker, "message");
  if (error) throw new BuildError(`asc, target ${target}: ${error}\n${said}`);
  if (said) console.log(said);
  if (!binary) throw new BuildError(`asc, target ${target}: exit without error but no ${outFile}`);
  return binary;
}

/** Valid, and linking with the memory that src/backend/wasm makes for it. */
async function checkBinary(target, binary) {
  // Node 20 has relaxed SIMD behind a flag; later versions crash on setting flags, and need none.
  if (target.startsWith("relaxed") && process.versions.node.startsWith("20.")) {
    v8.setFlagsFromString("--experimental-wasm-relaxed-simd");
  }
  if (!WebAssembly.validate(binary)) throw new BuildError(`${target}: not a valid module`);
  const module = await WebAssembly.compile(binary);
  const imports = WebAssembly.Module.imports(module).map((i) => `${i.module}.${i.name} ${i.kind}`);
  if (imports.join() !== "env.memory memory") {
    throw new BuildError(
      `${target}: must import env.memory alone, imports ${imports.join(", ") || "nothing"}`,
    );
  }
  try {
    const shared = target.endsWith("-threads");
    const memory = new WebAssembly.Memory({ initial: 64, maximum: maximumPages, shared });
    await WebAssembly.instantiate(module, { env: { memory } });
  } catch (error) {
    throw new BuildError(`${target}: does not link: ${error.message}`);
  }
}

/** The shared-memory binaries are the others but for one byte: the flags of the imported memory. */
function binariesSource(built) {
  const names = ["strict", "relaxed"];
  const sharedFlag = {};
  for (const name of names) {
    const [plain, shared] = [built[name], built[`${name}-threads`]];
    const differing = [...plain.keys()].filter((i) => plain[i] !== shared[i]);
    const [at] = differing;
    if (
      plain.length !== shared.length ||
      differing.length !== 1 ||
      plain[at] !== 1 ||
      shared[at] !== 3
    ) {
      throw new BuildError(
        `${name} and ${name}-threads differ in more than the flags of their memory: ` +
          "kernels may not ask for ASC_FEATURE_THREADS, threads are the caller's concern",
      );
    }
    sharedFlag[name] = at;
  }
  const rows = names.map(
    (name) =>
      `  ${name}: { base64: "${Buffer.from(built[name]).toString("base64")}", sharedFlag: ${sharedFlag[name]} },\n`,
  );
  return `// Generated by build/build.mjs from assembly/. Do not edit, do not commit.

/** The kernel binaries. The byte at \`sharedFlag\` is 1, and 3 in the variant for shared memory. */
export const binaries: Record<"strict" | "relaxed", { base64: string; sharedFlag: number }> = {
${rows.join("")}};
`;
}

/** Modules that tools take from a bundle, where they exist once, instead of holding a copy. */
const shared = {
  "src/index.ts": "./index.js",
  "src/errors.ts": "./index.js",
  "src/vectors/index.ts": "./vectors.js",
  "src/backend/webgpu/backend.ts": "./webgpu.js",
};

async function bundle() {
  const fromBundles = (among) => ({
    name: "from-bundles",
    setup(build) {
      build.onResolve({ filter: /\.ts$/ }, ({ kind, resolveDir, path: specifier }) => {
        if (!among.includes(kind)) return undefined;
        const file = path.relative(process.cwd(), path.resolve(resolveDir, specifier));
        const target = shared[file.split(path.sep).join("/")];
        return target && { path: target, external: true };
      });
    },
  });
  const library = await esbuildFiles({
    entryPoints: { index: "src/index.ts" },
    splitting: true, // what is imported dynamically loads when asked for
    chunkNames: "chunks/[name]-[hash]",
    plugins: [fromBundles(["dynamic-import"])],
  });
  const tools = await esbuildFiles({
    entryPoints: {
      webgpu: "src/backend/webgpu/backend.ts",
      vectors: "src/vectors/index.ts",
      cli: "src/cli.ts",
    },
    external: ["node:*"],
    plugins: [fromBundles(["import-statement", "dynamic-import"])],
  });
  fs.rmSync("dist/chunks", { recursive: true, force: true });
  for (const file of [...library, ...tools]) writeFile(file.path, file.contents);
  const size = (files) => {
    const bytes = files.reduce((sum, file) => sum + file.contents.length, 0);
    return `${Math.ceil(bytes / 1024)} KiB`;
  };
  return `${size(library)}, tools ${size(tools)}`;
}

async function esbuildFiles(options) {
  const esbuild = await import("esbuild");
  const result = await esbuild
    .build({
      bundle: true,
      format: "esm",
      target: "es2022",
      platform: "neutral",
      mainFields: ["module", "main"],
      outdir: "dist",
      write: false,
      logLevel: "silent",
      ...options,
    })
    .catch((error) => {
      if (!error.errors) throw error;
      const messages = esbuild.formatMessagesSync(error.errors, { kind: "error" });
      throw new BuildError(messages.join("").trim());
    });
  for (const warning of esbuild.formatMessagesSync(result.warnings, { kind: "warning" })) {
    console.log(warning.trim());
  }
  return result.outputFiles;
}

async function types() {
  const outDir = `dist/.types-${process.pid}`;
  try {
    const tsc = "node_modules/typescript/bin/tsc";
    const { code, output } = await runNode([tsc, "-p", "tsconfig.build.json", "--outDir", outDir]);
    if (code !== 0) throw new BuildError(`tsc -p tsconfig.build.json:\n${output}`);
    const files = listFiles(outDir, ".d.ts");
    if (!files.includes(`${outDir}/index.d.ts`)) throw new BuildError("tsc wrote no index.d.ts");
    for (const file of files) {
      let text = fs.readFileSync(file, "utf8").replace(relativeTs, "$1.js$2");
      // `using` needs Symbol.dispose, whatever `lib` the reader's project names.
      if (file === `${outDir}/index.d.ts`)
        text = `/// <reference lib="esnext.disposable" />\n${text}`;
      fs.writeFileSync(file, text);
    }
    fs.rmSync("dist/types", { recursive: true, force: true });
    fs.renameSync(outDir, "dist/types");
    return `${files.length} files`;
  } finally {
    fs.rmSync(outDir, { recursive: true, force: true });
  }
}

/** `from "./x.ts"`, `import "./x.ts"`, `import("./x.ts")`: published as `./x.js`, which every resolver maps to x.d.ts. */
const relativeTs = /((?:\bfrom\s*|\bimport\s*\(?\s*)["']\.{1,2}\/[^"'\n]*)\.ts(["'])/g;

/** Runs the stage unless its inputs and outputs are as its last run left them. */
async function stage(name, run, inputs, outputs) {
  const missing = inputs.find((file) => !fs.existsSync(file));
  if (missing) {
    const hint = missing.startsWith("node_modules/") ? ": run npm ci" : "";
    throw new BuildError(`${missing} is missing${hint}`);
  }
  const hash = createHash("sha256");
  for (const file of inputs) hash.update(`${file}\0`).update(fs.readFileSync(file)).update("\0");
  const digest = hash.digest("hex");
  if (readStamps()[name] === digest && outputs.every((file) => fs.existsSync(file))) return;
  const start = performance.now();
  const summary = await run();
  writeFile(stampFile, JSON.stringify({ ...readStamps(), [name]: digest }));
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`build: ${name} in ${seconds} s (${summary})`);
}

/** One build at a time: a second one waits, and finds its work done. */
async function locked(run) {
  fs.mkdirSync("dist", { recursive: true });
  while (!lock()) await new Promise((resolve) => setTimeout(resolve, 50));
  try {
    await run();
  } finally {
    fs.rmSync(lockFile, { force: true });
  }
}

function lock() {
  try {
    fs.writeFileSync(lockFile, String(process.pid), { flag: "wx" });
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  try {
    const age = Date.now() - fs.statSync(lockFile).mtimeMs;
    const owner = Number(fs.readFileSync(lockFile, "utf8"));
    if (age > 1000 && !isAlive(owner)) fs.rmSync(lockFile); // its owner was killed
  } catch (error) {
    if (error.code !== "ENOENT") throw error; // just released
  }
  return false;
}

function isAlive(pid) {
  try {
    return pid > 0 && process.kill(pid, 0);
  } catch {
    return false;
  }
}

function readStamps() {
  return fs.existsSync(stampFile) ? JSON.parse(fs.readFileSync(stampFile, "utf8")) : {};
}

/** Replaces the file in one go: another process may be reading it. */
function writeFile(file, contents) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const temporary = `${file}.${process.pid}.tmp`;
  fs.writeFileSync(temporary, contents);
  fs.renameSync(temporary, file);
}

function listFiles(folder, ending) {
  if (!fs.existsSync(folder)) return [];
  return fs
    .readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => path.posix.join(entry.parentPath, entry.name))
    .sort();
}

function runNode(args) {
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  child.stdout.on("data", (data) => (output += data));
  child.stderr.on("data", (data) => (output += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
}

async function main(args) {
  const unknown = args.find((arg) => arg !== "--kernels");
  if (unknown) throw new BuildError(`unknown argument ${unknown}; there is only --kernels`);
  await locked(() => build(args.includes("--kernels")));
}

async function build(kernelsOnly) {
  const self = "build/build.mjs";
  const manifest = (name) => `node_modules/${name}/package.json`; // its version is an input

  const assembly = ["assembly/index.ts", ...listFiles("assembly", ".ts")];
  await stage(
    "kernels",
    kernels,
    [self, "build/kernel.mjs", "asconfig.json", manifest("assemblyscript"), ...assembly],
    [...targets.map((target) => `dist/kernels/${target}.wasm`), binariesFile],
  );
  if (kernelsOnly) return;

  const src = ["src/index.ts", ...listFiles("src", ".ts")];
  await stage(
    "bundle",
    bundle,
    [self, "tsconfig.json", manifest("esbuild"), manifest("@assemblyscript/loader"), ...src],
    ["dist/index.js", "dist/webgpu.js", "dist/vectors.js", "dist/cli.js"],
  );
  await stage(
    "types",
    types,
    [
      self,
      "tsconfig.json",
      "tsconfig.build.json",
      manifest("typescript"),
      ...src.filter((file) => file !== binariesFile), // its type never changes
    ],
    ["dist/types/index.d.ts"],
  );
}

process.chdir(fileURLToPath(new URL("..", import.meta.url)));
try {
  await main(process.argv.slice(2));
} catch (error) {
  console.error(error instanceof BuildError ? `build failed: ${error.message}` : error);
  process.exitCode = 1;
}
