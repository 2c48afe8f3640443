/**
 * Trains a small transformer on the characters of Moby Dick, and lets it write: `npm run charlm`, or with
 * `-- --help`. The last twentieth of the book is held out for testing.
 *
 * Press Ctrl-C at any time: as there is no schedule that has to come to its end, the averaged weights x
 * are ready to use then. They are saved; `npm run charlm -- --load charlm.safetensors` writes more.
 */
import fs from "node:fs";
import { crossEntropy, DataLoader, init, manualSeed, noGrad, optim, type Tensor } from "roadless";
import { CharacterModel, loadModel, saveModel } from "./charlm/model.ts";
import { readSettings, type Settings } from "./charlm/options.ts";
import { loadMobyDick, Vocabulary, Windows } from "./charlm/text.ts";
import { continueText } from "./charlm/write.ts";
import { breathe, listenForCtrlC } from "./common/interrupt.ts";
import { UsageError } from "./common/options.ts";
import { formatCount, formatTime, print, Progress, strong, write } from "./common/progress.ts";
import { RecentLoss } from "./common/recent-loss.ts";
import { checkLoss, describeDevice, describeSize, formatSize, runExample } from "./common/run.ts";

/** Steps between two looks at the held-out text. */
const stepsPerTest = 250;

/** Mean cross entropy, in nats, of every character of the windows. */
function lossOf(model: CharacterModel, x: Tensor, y: Tensor): Tensor {
  return crossEntropy(model.forward(x).flatten(0, 1), y.flatten());
}

function* endlessly(loader: DataLoader): Generator<Tensor[]> {
  for (;;) yield* loader;
}

/** `settings.steps` steps, or as many as there is time for until `stop` is aborted. Returns those done. */
async function train(
  model: CharacterModel,
  optimizer: optim.AdamWScheduleFree,
  text: Int32Array,
  heldOut: Int32Array,
  { steps, batchSize, size }: Settings,
  stop: AbortSignal,
): Promise<number> {
  const windows = new Windows(text, size.context, 1);
  const loader = new DataLoader(windows, { batchSize, shuffle: true });
  const nextTest = () => Math.min(done + stepsPerTest, steps);
  let done = 0;
  const recentLoss = new RecentLoss();
  let from = 0;
  let progress = new Progress(`step ${nextTest()}/${steps}`, nextTest());

  model.train();
  optimizer.train();
  for (const [x, y] of endlessly(loader)) {
    await breathe();
    if (stop.aborted || !Number.isFinite(recentLoss.mean)) break;

    optimizer.zeroGrad();
    const loss = lossOf(model, x, y);
    loss.backward();
    optimizer.step();

    done++;
    await recentLoss.add(loss);
    const left = formatTime(progress.seconds * ((steps - from) / (done - from) - 1));
    progress.update(done - from, `${describe()}  ${left} left`);
    if (done === steps) break;
    if (done % stepsPerTest === 0) {
      progress.stop(done - from, `${describe()}  in ${formatTime(progress.seconds)}`);
      await test(model, optimizer, heldOut, stop);
      model.train();
      optimizer.train();
      from = done;
      progress = new Progress(`step ${nextTest()}/${steps}`, nextTest() - from);
    }
  }
  await recentLoss.settle();
  progress.stop(done - from, `${describe()}  in ${formatTime(progress.seconds)}`);
  checkLoss(recentLoss.mean, done, optimizer.paramGroups[0].lr);
  return done;

  function describe(): string {
    if (done === from) return "no step";
    const rate = formatCount(((done - from) * batchSize * size.context) / progress.seconds);
    return `loss ${recentLoss.mean.toFixed(3)}  ${rate} characters/s`;
  }
}

/** The loss per character of the held-out text, with the weights x; shows it too. */
async function test(
  model: CharacterModel,
  optimizer: optim.AdamWScheduleFree,
  heldOut: Int32Array,
  stop: AbortSignal,
): Promise<number> {
  const { context } = model.size;
  const windows = new Windows(heldOut, context, context);
  const progress = new Progress("testing x", windows.length, { brief: true });
  let sum = 0;
  let seen = 0;

  model.eval();
  optimizer.eval();
  for (const [x, y] of new DataLoader(windows, { batchSize: 32 })) {
    await breathe();
    progress.update(seen, stop.aborted ? "Ctrl-C again quits without saving" : "");
    sum += (await noGrad(() => lossOf(model, x, y)).item()) * x.shape[0];
    seen += x.shape[0];
  }
  progress.stop(seen, "");

  const loss = sum / seen;
  print(
    `held-out loss at x ${strong(`${loss.toFixed(3)} nats`)} per character ` +
      `(${(loss / Math.LN2).toFixed(2)} bits, perplexity ${Math.exp(loss).toFixed(2)})`,
  );
  return loss;
}

/** Trains a model, tests and saves it. */
async function trainModel(settings: Settings, stop: AbortSignal): Promise<CharacterModel> {
  const { size, lr, steps, batchSize, seed, output } = settings;
  const book = loadMobyDick();
  const vocabulary = new Vocabulary(book);
  checkPrompt(settings, vocabulary);
  const numbers = vocabulary.encode(book);
  const split = Math.floor(numbers.length * 0.95);
  const text = numbers.subarray(0, split);
  const heldOut = numbers.subarray(split);
  const model = new CharacterModel(vocabulary, size);
  const optimizer = new optim.AdamWScheduleFree(model.parameters(), {
    lr,
    warmupSteps: Math.min(100, steps),
    betas: [0.9, 0.99],
    weightDecay: 0.1,
  });

  print(
    `transformer, ${describeSize(model)}; AdamWScheduleFree, lr ${lr}, ` +
      `batch size ${batchSize} × ${size.context}, seed ${seed}`,
  );
  print(
    `${formatCount(text.length)} characters to train, ${formatCount(heldOut.length)} held out; ${describeDevice()}`,
  );

  const done = await train(model, optimizer, text, heldOut, settings, stop);
  const loss = await test(model, optimizer, heldOut, stop);
  if (done < steps) {
    print(`stopped after ${formatCount(done)} steps: Schedule-Free needs no stopping time`);
  }
  // The optimizer is in eval mode: the parameters are x.
  await saveModel(output, model, {
    lr,
    batch_size: batchSize,
    seed,
    steps: done,
    held_out_loss: loss,
  });
  print(`saved ${output} (${formatSize(fs.statSync(output).size)})`);
  optimizer.dispose();
  return model;
}

function checkPrompt({ prompt }: Settings, vocabulary: Vocabulary): void {
  const unknown = vocabulary.unknown(prompt);
  if (unknown.length === 0) return;
  throw new UsageError(
    `--prompt holds ${unknown.map((character) => JSON.stringify(character)).join(", ")}; ` +
      `expected characters of the book: ${vocabulary.characters.join("").trim()}`,
  );
}

async function main(settings: Settings): Promise<void> {
  const stop = listenForCtrlC();
  const { load, prompt, length, taste, seed, device, threads, precision } = settings;
  await init({ device, threads, precision });
  manualSeed(seed); // decides the initial weights, the order of the windows, and what is written

  let model: CharacterModel;
  if (load === undefined) model = await trainModel(settings, stop);
  else {
    model = loadModel(load);
    checkPrompt(settings, model.vocabulary);
  }

  print("");
  write(strong(prompt));
  model.eval();
  const stopped = stop.aborted; // that was for the training
  for await (const character of continueText(model, prompt, length, taste)) {
    if (stop.aborted !== stopped) break;
    write(character);
  }
  print("\n");
  model.dispose();
}

await runExample("charlm", readSettings, main);
