/**
 * PyTorch's vectors on device "webgpu": all float32 operations, a third of the optimizers' cases at every step
 * (another third in each host), and training runs as far as software adapters get in a test. The others: `npm run
 * golden -- test/golden/vectors --device webgpu`.
 */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { goldenFiles, playAll, readGolden } from "../golden/play.ts";
import type { GoldenFile } from "../../src/vectors/format.ts";
import type { TraceFile } from "../golden/traces.ts";
import { playTrace } from "../golden/traces.ts";
import { startWebGpu, stopWebGpu, unavailable } from "./gpu.ts";

const golden = suite("webgpu golden");
const vectors = "test/golden/vectors";

if (unavailable !== null) golden.skip("every vector", unavailable);

/** Optimizers whose steps are kernels of their own; what is left out is written with operations, or a twin. */
const fused =
  /optim\/(\w+ScheduleFree|\w+Closure|ScheduleFreeWrapper|AdamC\w+|swa_utils|torch_\w+)\.json$/;

const isSingle = (one: unknown): boolean => (one as { dtype: string }).dtype === "float32";

/** A file's float32 cases, every `stride`th of them from `first` on. */
async function chosen(name: string, stride = 1, first = 0): Promise<GoldenFile> {
  const content = await readGolden(name);
  const cases = content.cases.filter(isSingle).filter((_, i) => i % stride === first);
  return { ...content, cases };
}

/** Together Node, Deno and a page play every case of the optimizers. */
const share = "Deno" in globalThis ? 1 : typeof document !== "undefined" ? 2 : 0;

const operations = await goldenFiles(`${vectors}/ops`);
const optimizers = (await goldenFiles(`${vectors}/optim`)).filter((name) => fused.test(name));
const files = await Promise.all([
  ...operations.map((name) => chosen(name)),
  ...optimizers.map((name) => chosen(name, 3, share)),
]);

for (const content of unavailable === null ? files : []) {
  if (content.cases.length === 0) continue;
  golden(content.file, async () => {
    const played = await playAll(content, { device: "webgpu" });
    const wrong = played.filter(({ outcome }) => outcome.status !== "passed");
    assert.equal(
      wrong.map(({ name: label, outcome }) => `${label}: ${outcome.message}`),
      [],
    );
    assert.is(played.length, content.cases.length);
  });
}

/**
 * Runs, and their first steps. The loss of a step is that before its update: the second has gone through all
 * gradients and one update. Evaluations come after the tenth, twentieth and fortieth step.
 */
const runs: Readonly<Record<string, number>> = {
  "mnist_linear/SGDScheduleFree": 10,
  "mnist_mlp/AdamWScheduleFree": 10,
  "mnist_bncnn/AdamWScheduleFree": 2,
  "char_lm/AdamWScheduleFree": 5,
};

for (const name of unavailable === null ? await goldenFiles(`${vectors}/traces`) : []) {
  const file = (await readGolden(name)) as unknown as TraceFile;
  for (const run of file.cases) {
    const steps = runs[run.name];
    if (steps === undefined) continue;
    golden(`${run.name}, ${steps} steps`, async () => {
      const outcome = await playTrace(file, run, "float32", { device: "webgpu", steps });
      assert.is(outcome.message, undefined);
      assert.is(outcome.status, "passed");
    });
  }
}

golden.before(async () => void (await startWebGpu()));
golden.after(stopWebGpu);

golden.run();
