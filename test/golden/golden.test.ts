/** The vectors in this repository: every case passes. */
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Comparison, relativeError } from "./compare.ts";
import { goldenFiles, playFile, readGolden } from "./play.ts";
import type { TraceFile } from "./traces.ts";
import { playTrace } from "./traces.ts";

const golden = suite("golden");
const vectors = "test/golden/vectors";

for (const file of await goldenFiles(`${vectors}/ops`)) {
  const content = await readGolden(file);
  golden(content.file, async () => {
    const failures: string[] = [];
    let passed = 0;
    for await (const { name, outcome } of playFile(content)) {
      if (outcome.status === "passed") passed++;
      else if (outcome.status === "failed") failures.push(`${name}: ${outcome.message}`);
      else failures.push(`${name}: not supported`);
    }
    assert.equal(failures, []);
    assert.ok(passed > 0);
  });
}

/** float64 on the reference takes minutes: some steps of one run here, all in `npm run golden`. */
const referenceSteps: Record<string, number> = {
  "mnist_cnn/AdamWScheduleFree": 2,
  "mnist_bncnn/AdamWScheduleFree": 2,
  "char_lm/AdamWScheduleFree": 10,
};

for (const file of await goldenFiles(`${vectors}/traces`)) {
  const content = (await readGolden(file)) as unknown as TraceFile;
  for (const run of content.cases) {
    for (const dtype of ["float64", "float32"] as const) {
      const steps = dtype === "float64" ? referenceSteps[run.name] : undefined;
      if (dtype === "float64" && /cnn$|char_lm$/.test(content.file) && !steps) continue;
      golden(`${run.name}/${dtype}`, async () => {
        const outcome = await playTrace(content, run, dtype, { steps });
        assert.is(outcome.message, undefined);
        assert.is(outcome.status, "passed");
      });
    }
  }
}

golden("comparison tells right from wrong", () => {
  assert.is(relativeError(1, 1, 0), 0);
  assert.is(relativeError(NaN, NaN, 1), 0);
  assert.is(relativeError(-0, 0, 0), 0);
  assert.is(relativeError(Infinity, Infinity, 1), 0);
  assert.is(relativeError(Infinity, -Infinity, 1), Infinity);
  assert.is(relativeError(NaN, 1, 1), Infinity);
  assert.is(relativeError(1, NaN, 1), Infinity);
  assert.is(relativeError(1.5, 1, 0), 0.5);
  assert.is(relativeError(1.5, 1, 5), 0.1);
  const comparison = new Comparison();
  comparison.check("a", 1, 1 + 1e-9, 0, 1e-8);
  assert.is(comparison.outcome().status, "passed");
  comparison.check("b", 1, 2, 0, 1e-8);
  assert.match(comparison.outcome().message!, "b: found 1, expected 2");
});

golden("a damaged trace fails", async () => {
  const file = await readGolden(`${vectors}/traces/mnist_linear.json`);
  const content = file as unknown as TraceFile;
  const [run] = content.cases;
  run.float32_loss[3] *= 1.001;
  const outcome = await playTrace(content, run, "float32", { steps: 5 });
  assert.is(outcome.status, "failed");
  assert.match(outcome.message!, "loss of step 4");
});

golden.run();
