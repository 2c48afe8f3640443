import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { readSettings } from "../../examples/charlm/options.ts";
import { loadMobyDick, Vocabulary, Windows } from "../../examples/charlm/text.ts";
import { UsageError } from "../../examples/common/options.ts";
import { loadSafetensors } from "../../src/io/index.ts";
import { released, start } from "./start.ts";

const charlm = suite("charlm");
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-charlm-"));
const file = path.join(folder, "small.safetensors");
const small = "--width 32 --heads 2 --layers 1 --context 32 --batch-size 8".split(" ");
charlm.after(() => fs.rmSync(folder, { recursive: true }));

charlm("learns the frequencies of letters in a few steps, writes, and saves x", async () => {
  const args = [...small, "--steps", "120", "--length", "40", "--output", file];
  const { code, stdout, stderr } = await start("charlm", args).ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  // oxlint-disable-next-line no-control-regex
  assert.not.match(stdout, /[\x00-\x09\x0b-\x1f\x7f]/);
  assert.match(
    stdout,
    /^transformer, 1[67],\d{3} parameters; AdamWScheduleFree, lr 0.01, batch size 8 × 32, seed 1\n/,
  );
  assert.match(
    stdout,
    /^1,\d{3},\d{3} characters to train, \d\d,\d{3} held out; cpu, \d+ threads?, strict$/m,
  );
  assert.match(stdout, /^step 120\/120 100 %  loss \d\.\d{3}  [\d,]+ characters\/s  in \d+:\d\d$/m);
  const [, nats, bits, perplexity] =
    /^held-out loss at x ([\d.]+) nats per character \(([\d.]+) bits, perplexity ([\d.]+)\)$/m.exec(
      stdout,
    )!;
  assert.ok(Number(nats) < 3, nats); // chance is ln 82 = 4.4, frequencies alone give 3.1
  assert.ok(Math.abs(Number(bits) - Number(nats) / Math.LN2) < 0.01);
  assert.ok(Math.abs(Number(perplexity) - Math.exp(Number(nats))) < 0.02);
  assert.match(stdout, `\nsaved ${file} (`);
  const written = stdout.slice(stdout.indexOf("\nThe whale ") + 1, stdout.lastIndexOf("\n\n"));
  assert.is(written.length, "The whale ".length + 40);
  assert.match(stdout.trimEnd().split("\n").at(-1)!, released);

  const { metadata } = loadSafetensors(file);
  assert.is(metadata.steps, "120");
  assert.is(Number(metadata.held_out_loss).toFixed(3), nats);
  assert.is(metadata.vocabulary, new Vocabulary(loadMobyDick()).characters.join(""));
});

charlm("--load goes on writing without training, the same for the same seed", async () => {
  const write = async (...args: string[]) => {
    const all = ["--load", file, "--prompt", "Ahab", "--length", "60", ...args];
    const { code, stdout, stderr } = await start("charlm", all).ended;
    assert.is(stderr, "");
    assert.is(code, 0);
    const lines = stdout.trimEnd().split("\n");
    assert.match(lines.pop()!, released);
    return lines.join("\n");
  };
  const [first, again, other, likeliest, likeliestToo] = await Promise.all([
    write(),
    write("--threads", "1"),
    write("--seed", "2"),
    write("--top-k", "1"),
    write("--top-k", "1", "--seed", "2"),
  ]);
  assert.match(first, /^\nAhab/);
  assert.is(first, again);
  assert.is.not(first, other);
  assert.is(likeliest, likeliestToo); // nothing to draw
});

charlm("Ctrl-C ends training; x is tested and saved, and writes", async () => {
  const output = path.join(folder, "stopped.safetensors");
  const run = start("charlm", [
    ...small,
    "--steps",
    "1000000",
    "--length",
    "9",
    "--output",
    output,
  ]);
  await run.printed("characters to train");
  run.child.kill("SIGINT");
  run.child.kill("SIGINT"); // as npm does, when the terminal has signalled everybody already
  const { code, stdout, stderr } = await run.ended;
  assert.is(stderr, "");
  assert.is(code, 0);
  const [, steps] = /^stopped after ([\d,]+) steps: Schedule-Free needs no stopping time$/m.exec(
    stdout,
  )!;
  const { metadata } = loadSafetensors(output);
  assert.is(Number(metadata.steps).toLocaleString("en-US"), steps);
  const [, nats] = /^held-out loss at x ([\d.]+) nats/m.exec(
    stdout.slice(stdout.lastIndexOf("held-out loss")),
  )!;
  assert.is(Number(metadata.held_out_loss).toFixed(3), nats);
  assert.match(stdout, /\nThe whale [^]{9}\n\n/);
  assert.match(stdout.trimEnd().split("\n").at(-1)!, released);
});

charlm("windows of a text, and the characters that follow", () => {
  const text = Int32Array.from({ length: 11 }, (_, i) => i);
  const windows = new Windows(text, 4, 3);
  assert.is(windows.length, 3);
  const [x, y] = windows.batch(Int32Array.of(2, 0));
  assert.equal([...x.data], [6, 7, 8, 9, 0, 1, 2, 3]);
  assert.equal([...y.data], [7, 8, 9, 10, 1, 2, 3, 4]);
  assert.equal(y.shape, [2, 4]);
  assert.is(new Windows(text, 11, 1).length, 0); // the last one has no follower
});

charlm("the book is whole, and survives its numbers", () => {
  const book = loadMobyDick();
  assert.match(book, /^1\. Loomings\.\n\nCall me Ishmael\./);
  assert.match(book, /found another orphan\.\s*$/);
  const vocabulary = new Vocabulary(book);
  assert.is(vocabulary.decode(vocabulary.encode(book)), book);
  assert.equal(vocabulary.unknown("whale ßü"), ["ß", "ü"]);
});

charlm("--help names every option", () => {
  const { help } = readSettings(["--help"]) as { help: string };
  const names =
    "steps context width heads layers lr batch-size output load prompt length temperature top-k seed device threads precision help";
  for (const name of names.split(" ")) assert.match(help, `--${name}`);
  assert.ok(help.split("\n").every((line) => line.length <= 80));
});

const refused: [args: string[], message: string][] = [
  [
    ["--width", "100", "--heads", "3"],
    "--width is 100; expected a multiple of --heads, which is 3",
  ],
  [["--prompt="], '--prompt is ""; expected some text'],
  [["--load", "none"], '--load is "none"; expected the path of a file'],
  [
    ["--load", "package.json", "--steps", "3"],
    "--steps is for training; with --load there is none",
  ],
  [["--temperature", "0"], '--temperature is "0"; expected a number above 0'],
];
for (const [args, message] of refused) {
  charlm(`${JSON.stringify(args)} is refused`, () => {
    assert.throws(
      () => readSettings(args),
      (error: unknown) => error instanceof UsageError && error.message === message,
    );
  });
}

charlm("a prompt or a file that the model cannot take is one line and exit code 2", async () => {
  const unknown = await start("charlm", ["--prompt", "Füße"]).ended;
  assert.match(
    unknown.stderr,
    /^charlm: --prompt holds "ü", "ß"; expected characters of the book: !".*\n$/,
  );
  assert.is(unknown.code, 2);
  const wrong = await start("charlm", ["--load", "package.json"]).ended;
  assert.match(
    wrong.stderr,
    /^charlm: --load is "package.json"; expected a file that this example saved \(.*\)\n$/,
  );
  assert.is(wrong.code, 2);
});

charlm.run();
