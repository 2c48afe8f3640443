import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { loadMnist } from "../../examples/mnist/data.ts";
import { UsageError } from "../../examples/common/options.ts";
import { readSettings, type Settings } from "../../examples/mnist/options.ts";
import { loadSafetensors } from "../../src/io/index.ts";
import { released, start as startExample } from "./start.ts";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-mnist-"));
const fileIn = (name: string) => path.join(folder, name);

const start = (...args: string[]) => startExample("mnist", args);

const options = suite("mnist options");

options("every option is read", () => {
  const args =
    "--model mlp --optimizer sgd --epochs 3 --lr 1e-1 --warmup-steps 10 --batch-size 32 --seed 0 " +
    "--limit 100 --output here.safetensors --device reference --threads 2 --precision fast";
  assert.equal(readSettings(args.split(" ")), {
    model: "mlp",
    optimizer: "sgd",
    epochs: 3,
    lr: 0.1,
    warmupSteps: 10,
    batchSize: 32,
    seed: 0,
    limit: 100,
    output: "here.safetensors",
    device: "reference",
    threads: 2,
    precision: "fast",
  });
});

options("the defaults are upstream's example", () => {
  const { model, optimizer, epochs, lr, batchSize, output } = readSettings([]) as Settings;
  assert.equal(
    { model, optimizer, epochs, lr, batchSize, output },
    {
      model: "cnn",
      optimizer: "adamw",
      epochs: 1,
      lr: 0.0025,
      batchSize: 64,
      output: "mnist-cnn.safetensors",
    },
  );
  assert.is((readSettings(["--threads", "auto"]) as Settings).threads, "auto");
});

options("--help names every option", () => {
  const { help } = readSettings(["-h"]) as { help: string };
  for (const name of "model optimizer epochs lr warmup-steps batch-size seed limit output device threads precision help".split(
    " ",
  )) {
    assert.match(help, `--${name}`);
  }
  assert.ok(help.split("\n").every((line) => line.length <= 80));
});

const refused: [args: string[], message: string][] = [
  [["--model", "cmm"], '--model is "cmm"; expected cnn or bncnn or mlp or linear'],
  [["--optimizer=lion"], '--optimizer is "lion"; expected adamw or sgd'],
  [["--epochs", "0"], '--epochs is "0"; expected a whole number from 1 up'],
  [["--epochs", "1.5"], '--epochs is "1.5"; expected a whole number from 1 up'],
  [["--lr", "-1"], '--lr is "-1"; expected a number above 0'],
  [["--lr", "fast"], '--lr is "fast"; expected a number above 0'],
  [["--lr", " "], '--lr is " "; expected a number above 0'],
  [["--lr", "--model", "mlp"], "--lr has no value"],
  [["--lr", "Infinity"], '--lr is "Infinity"; expected a number above 0'],
  [
    ["--seed", "9007199254740992"],
    '--seed is "9007199254740992"; expected a whole number from 0 up',
  ],
  [["--limit", "60001"], '--limit is "60001"; expected a whole number from 1 to 60000'],
  [["--threads", "0"], '--threads is "0"; expected 1 to 64, or auto'],
  [["--output", ""], '--output is ""; expected the path of a file'],
  [["--output", "src"], '--output is "src"; expected a file; this is a directory'],
  [["--output", "none/x"], '--output is "none/x"; expected a path in an existing directory'],
  [["--epoch", "3"], "unknown option --epoch; --help lists the known ones"],
  [["--help=3"], '--help is "3"; expected no value'],
  [["--lr"], "--lr has no value"],
  [["mlp"], 'unexpected argument "mlp"; options come after "--"'],
];
for (const [args, message] of refused) {
  options(`${JSON.stringify(args)} is refused`, () => {
    assert.throws(
      () => readSettings(args),
      (error: unknown) => error instanceof UsageError && error.message.startsWith(message),
    );
  });
}

options.run();

const mnist = suite("mnist");
mnist.after(() => fs.rmSync(folder, { recursive: true }));

/** What the weights in the file make of the test images, in float64. */
function countCorrect(file: string): number {
  const { tensors } = loadSafetensors(file);
  const weight = tensors.get("1.weight")!.data;
  const bias = tensors.get("1.bias")!.data;
  const images = loadMnist("t10k");
  const [x, y] = images.batch(Int32Array.from({ length: images.length }, (_, i) => i));
  let correct = 0;
  for (let i = 0; i < images.length; i++) {
    const scores = Array.from(bias);
    for (let c = 0; c < 10; c++) {
      for (let p = 0; p < 784; p++) scores[c] += x.data[784 * i + p] * weight[784 * c + p];
    }
    if (scores.indexOf(Math.max(...scores)) === y.data[i]) correct++;
  }
  return correct;
}

mnist("trains, prints plain lines, and saves x", async () => {
  const file = fileIn("linear.safetensors");
  const run = start("--model", "linear", "--limit", "640", "--epochs", "2", "--output", file);
  const { code, stdout, stderr } = await run.ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  // oxlint-disable-next-line no-control-regex
  assert.not.match(stdout, /[\x00-\x09\x0b-\x1f\x7f]/);
  const lines = stdout.trimEnd().split("\n");
  const expected = [
    /^linear, 7,850 parameters; AdamWScheduleFree, lr 0.0025, batch size 64, seed 1$/,
    /^640 images to train, 10,000 to test; cpu, \d+ threads?, strict$/,
    /^epoch 1\/2 100 %  loss \d\.\d{4}  [\d,]+ images\/s  in 0:\d\d$/,
    /^test accuracy at x \d\d\.\d\d % \([\d,]+ of 10,000\)$/,
    /^epoch 2\/2 100 %  loss \d\.\d{4}  [\d,]+ images\/s  in 0:\d\d$/,
    /^test accuracy at x \d\d\.\d\d % \([\d,]+ of 10,000\)$/,
    /^saved .*linear\.safetensors \(32 kB\)$/,
    released,
  ];
  assert.is(lines.length, expected.length, stdout);
  for (const [i, line] of expected.entries()) assert.match(lines[i], line);

  const { tensors, metadata } = loadSafetensors(file);
  const shapes = [...tensors].map(([name, { shape, dtype }]) => [name, dtype, ...shape]);
  assert.equal(shapes, [
    ["1.bias", "F32", 10],
    ["1.weight", "F32", 10, 784],
  ]);
  const { accuracy, ...rest } = metadata;
  assert.equal(rest, {
    model: "linear",
    optimizer: "AdamWScheduleFree",
    lr: "0.0025",
    batch_size: "64",
    seed: "1",
    steps: "20",
    epochs: "2",
  });
  assert.ok(Number(accuracy) > 0.75, accuracy);
  // Weights at y or z would differ in hundreds of images, float32 sums in a few.
  assert.ok(Math.abs(countCorrect(file) - 10_000 * Number(accuracy)) < 5, accuracy);
});

mnist("BatchNorm's statistics are those of x, and are saved with it", async () => {
  const file = fileIn("bncnn.safetensors");
  const run = start("--model", "bncnn", "--limit", "1280", "--output", file);
  const { code, stdout, stderr } = await run.ended;
  assert.is(stderr, ""); // no warning that statistics belong to y
  assert.is(code, 0);
  const { tensors, metadata } = loadSafetensors(file);
  assert.ok(Number(metadata.accuracy) > 0.85, metadata.accuracy);
  const batches = tensors.get("bn1.num_batches_tracked")!.data[0];
  assert.is(batches, 7); // the 1,280 images by 200, not the 20 batches of training
  assert.ok(tensors.get("bn3.running_var")!.data.every((v) => v > 0 && v !== 1));
  assert.match(stdout.trimEnd().split("\n").at(-1)!, released);
});

mnist("same seed, same file, whatever the number of threads", async () => {
  const train = async (name: string, ...args: string[]) => {
    const common = ["--model", "mlp", "--limit", "500", "--output", fileIn(name)];
    const { code, stderr } = await start(...common, ...args).ended;
    assert.is(code, 0, stderr);
    return fs.readFileSync(fileIn(name));
  };
  const [one, three, other] = await Promise.all([
    train("one", "--threads", "1"),
    train("three", "--threads", "3"),
    train("other", "--seed", "2"),
  ]);
  assert.is(Buffer.compare(one, three), 0);
  assert.is.not(Buffer.compare(one, other), 0);
});

mnist("a wrong option is one line and exit code 2", async () => {
  const { code, stdout, stderr } = await start("--epochs", "many").ended;
  assert.is(stderr, 'mnist: --epochs is "many"; expected a whole number from 1 up\n');
  assert.is(stdout, "");
  assert.is(code, 2);
});

mnist("a learning rate that is too large is told, and nothing is saved", async () => {
  const file = fileIn("diverged");
  const run = start("--model", "mlp", "--optimizer", "sgd", "--lr", "1e9", "--output", file);
  const { code, stderr } = await run.ended;
  assert.match(
    stderr,
    /^mnist: --lr is 1000000000, and the loss was [-\w]+ after \d+ steps; .*\n$/,
  );
  assert.is(code, 2);
  assert.not.ok(fs.existsSync(file));
});

mnist("Ctrl-C ends training, and x is tested and saved", async () => {
  const file = fileIn("stopped.safetensors");
  const common = ["--model", "linear", "--limit", "1000", "--output", file];
  const run = start(...common, "--epochs", "10000");
  await run.printed("test accuracy"); // after the first epoch
  run.child.kill("SIGINT");
  run.child.kill("SIGINT"); // as npm does, when the terminal has signalled everybody already
  const { code, stdout, stderr } = await run.ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  const [, steps] = /\nstopped after ([\d,]+) steps: Schedule-Free needs/.exec(stdout) ?? [];
  const [, accuracy] = /([\d.]+) %[^%]*\nstopped after/.exec(stdout) ?? [];
  const { metadata } = loadSafetensors(file);
  assert.is(Number(metadata.steps).toLocaleString("en-US"), steps);
  assert.is((100 * Number(metadata.accuracy)).toFixed(2), accuracy);
  assert.ok(Math.abs(countCorrect(file) - 10_000 * Number(metadata.accuracy)) < 5);
});

mnist("Ctrl-C before the first step: the initial weights are tested and saved", async () => {
  const file = fileIn("untrained");
  // Presses it as soon as the example listens.
  const press = `process.on("newListener", (name) => {
    if (name === "SIGINT") process.nextTick(() => process.emit("SIGINT"));
  })`;
  const preload = ["--import", `data:text/javascript,${press}`];
  const args = ["--model", "linear", "--epochs", "3", "--output", file];
  const { code, stdout, stderr } = await startExample("mnist", args, preload).ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  assert.match(stdout, /\nepoch 1\/3   0 %  no step  in 0:00\ntest accuracy at x [\d.]+ % /);
  assert.match(stdout, "\nstopped before the first step: x holds the initial weights\n");
  const { metadata } = loadSafetensors(file);
  assert.is(metadata.steps, "0");
  assert.ok(Math.abs(countCorrect(file) - 10_000 * Number(metadata.accuracy)) < 5);
});

mnist("a second Ctrl-C quits at once, without saving", async () => {
  const file = fileIn("quit");
  const run = start("--model", "mlp", "--device", "reference", "--output", file);
  await run.printed("images to train");
  while (run.child.exitCode === null) {
    run.child.kill("SIGINT"); // the first begins the test of x, which takes seconds here
    await sleep(400);
  }
  const { code, stdout, stderr } = await run.ended;
  assert.is(code, 130, stderr);
  assert.not.match(stdout, "saved");
  assert.not.ok(fs.existsSync(file));
});

mnist.run();
