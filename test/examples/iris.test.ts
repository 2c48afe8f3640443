import { suite } from "uvu";
import * as assert from "uvu/assert";
import { UsageError } from "../../examples/common/options.ts";
import { formatConfusion } from "../../examples/iris/confusion.ts";
import { loadIris, standardise, stratifiedFolds } from "../../examples/iris/data.ts";
import { readSettings } from "../../examples/iris/options.ts";
import { released, start } from "./start.ts";

const iris = suite("iris");

iris("classifies at least 95 % of the flowers, and prints a table that says so", async () => {
  const { code, stdout, stderr } = await start("iris", []).ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  const lines = stdout.trimEnd().split("\n");
  assert.is(
    lines[0],
    "150 flowers, 3 species; perceptron 4-16-3; AdamWScheduleFree, lr 0.02, 50 epochs, seed 1",
  );
  assert.match(stdout, /^folds 100 %  accuracy [\d.]+ %$/m);
  const header = lines.indexOf("actual      setosa  versicolor  virginica  (found)");
  const table = lines.slice(header + 1, header + 4).map((line) => line.split(/ +/));
  assert.equal(
    table.map(([name]) => name),
    ["setosa", "versicolor", "virginica"],
  );
  const counts = table.map(([, ...cells]) => cells.map(Number));
  for (const row of counts)
    assert.is(
      row.reduce((a, b) => a + b),
      50,
    );
  const correct = counts[0][0] + counts[1][1] + counts[2][2];
  const [, percent, told] = /^accuracy at x ([\d.]+) % \((\d+) of 150\), 10 folds from/.exec(
    lines.at(-2)!,
  )!;
  assert.is(Number(told), correct);
  assert.is(percent, ((100 * correct) / 150).toFixed(1));
  assert.ok(correct >= 143, stdout);
  assert.match(lines.at(-1)!, released);
});

iris("same seed, same output; another seed, other folds", async () => {
  const run = async (seed: string) => {
    const args = ["--epochs", "3", "--folds", "5", "--seed", seed];
    const { code, stdout, stderr } = await start("iris", args).ended;
    assert.is(code, 0, stderr);
    return stdout.split("\n").slice(2, -2).join("\n");
  };
  const [one, again, other] = await Promise.all([run("1"), run("1"), run("2")]);
  assert.is(one, again);
  assert.is.not(one, other);
});

iris("folds divide the flowers, and every species evenly", () => {
  const flowers = loadIris();
  const folds = stratifiedFolds(flowers, 10);
  const key = (x: Float32Array, i: number) => [...x.subarray(4 * i, 4 * i + 4)].join();
  const tested: string[] = [];
  for (const { train, test } of folds) {
    assert.equal(
      [0, 1, 2].map((c) => test.y.data.filter((y) => y === c).length),
      [5, 5, 5],
    );
    assert.equal(train.x.shape, [135, 4]);
    for (let i = 0; i < 15; i++) tested.push(key(test.x.data, i));
  }
  const all = Array.from({ length: 150 }, (_, i) => key(flowers.x.data, i));
  assert.equal(tested.sort(), all.sort());
});

iris("standardises by the training flowers alone", () => {
  const [{ train, test }] = stratifiedFolds(loadIris(), 3);
  const [standard, standardTest] = standardise(train, test);
  for (let column = 0; column < 4; column++) {
    const values = standard.x.data.filter((_, i) => i % 4 === column);
    const mean = values.reduce((a, b) => a + b) / values.length;
    const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
    assert.ok(Math.abs(mean) < 1e-6 && Math.abs(variance - 1) < 1e-5);
    // The same line through both: test flowers had no say in it.
    const slope =
      (standard.x.data[column] - values[1]) / (train.x.data[column] - train.x.data[4 + column]);
    if (!Number.isFinite(slope)) continue;
    const expected = values[0] + slope * (test.x.data[column] - train.x.data[column]);
    assert.ok(Math.abs(standardTest.x.data[column] - expected) < 1e-4);
  }
});

iris("a table of counts", () => {
  assert.equal(
    formatConfusion(
      ["a", "long name"],
      [
        [12, 0],
        [1, 9],
      ],
    ),
    ["actual     a  long name  (found)", "a          12          0", "long name  1          9"],
  );
});

iris("--help, and what is refused", async () => {
  const { help } = readSettings(["--help"]) as { help: string };
  for (const name of "folds epochs hidden lr batch-size seed device help".split(" ")) {
    assert.match(help, `--${name}`);
  }
  assert.ok(help.split("\n").every((line) => line.length <= 80));
  assert.throws(
    () => readSettings(["--folds", "1"]),
    (error: unknown) =>
      error instanceof UsageError &&
      error.message === '--folds is "1"; expected a whole number from 2 to 50',
  );
  const { code, stdout, stderr } = await start("iris", ["--seed", "x"]).ended;
  assert.is(stderr, 'iris: --seed is "x"; expected a whole number from 0 up\n');
  assert.is(stdout, "");
  assert.is(code, 2);
});

iris.run();
