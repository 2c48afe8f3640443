/** What is shown of a run: a bar where there is a terminal, a line every few seconds elsewhere. */
import { styleText } from "node:util";
import cliProgress from "cli-progress";

const terminal = process.stdout.isTTY === true && process.env.TERM !== "dumb";
export const colored = terminal && !process.env.NO_COLOR; // https://no-color.org
const secondsPerLine = 5;

// Who reads our output may be gone (Ctrl-C ends `| tee` too). The weights are to be saved all the same.
process.stdout.on("error", () => {});

export function print(line: string): void {
  write(`${line}\n`);
}

/** Text without the end of a line. */
export function write(text: string): void {
  process.stdout.write(text);
}

export function strong(text: string): string {
  return colored ? styleText("bold", text) : text;
}

export function formatCount(n: number): string {
  return Math.round(n).toLocaleString("en-US");
}

/** 75 → "1:15" */
export function formatTime(seconds: number): string {
  const whole = Math.round(seconds);
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const pad = (n: number) => String(n).padStart(2, "0");
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

let activeBar: cliProgress.SingleBar | undefined;

/** Ends the bar that is being shown, if any: in the middle of things, the cursor is hidden. */
export function endProgress(): void {
  activeBar?.stop();
}
process.on("exit", endProgress); // the second Ctrl-C

/** One stretch of work of `total` units. Nothing else may be printed before `stop()`. */
export class Progress {
  readonly #label: string;
  readonly #total: number;
  readonly #brief: boolean;
  readonly #bar: cliProgress.SingleBar | undefined;
  readonly #started = performance.now();
  #printed = performance.now();

  /** `brief`: leave nothing behind; without a terminal nothing is shown at all. */
  constructor(label: string, total: number, { brief = false } = {}) {
    this.#label = label;
    this.#total = total;
    this.#brief = brief;
    if (!terminal) return;
    let room = 38; // for the text; grows at need, so that the bar does not move to and fro
    this.#bar = new cliProgress.SingleBar({
      format: (_options, { progress, maxWidth }, { text }) => {
        room = Math.max(room, text.length);
        return drawBar(label, progress, text.padEnd(room), maxWidth - 1);
      },
      stream: process.stdout,
      hideCursor: true,
      clearOnComplete: brief,
      forceRedraw: true, // over the "^C" that terminals print
      gracefulExit: false, // Ctrl-C has its own listener
    });
    this.#bar.start(total, 0, { text: "" });
    activeBar = this.#bar;
  }

  get seconds(): number {
    return (performance.now() - this.#started) / 1000;
  }

  /** `done` units so far; `text` is shown behind the bar. */
  update(done: number, text: string): void {
    if (this.#bar !== undefined) this.#bar.update(done, { text });
    else if (performance.now() - this.#printed > secondsPerLine * 1000) this.#print(done, text);
  }

  /** The end, be it early. `text` says what there is to say about the whole. */
  stop(done: number, text: string): void {
    if (this.#bar === undefined) this.#print(done, text);
    this.#bar?.update(done, { text });
    this.#bar?.stop();
    activeBar = undefined;
  }

  #print(done: number, text: string): void {
    if (this.#brief) return;
    this.#printed = performance.now();
    print(`${this.#label} ${percent(done / this.#total)}  ${text}`);
  }
}

function percent(part: number): string {
  return `${Math.floor(part * 100)} %`.padStart(5);
}

/** One line of `columns`: the bar takes what room there is, and goes where there is none. */
function drawBar(label: string, progress: number, text: string, columns: number): string {
  const rest = `${percent(progress)}  ${text}`;
  const width = Math.min(30, columns - label.length - rest.length - 2);
  if (width < 5) return `${label} ${rest}`.slice(0, columns);
  const full = Math.round(progress * width);
  const done = "█".repeat(full);
  const left = "░".repeat(width - full);
  return `${label} ${colored ? styleText("green", done) : done}${left} ${rest}`;
}
