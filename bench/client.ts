/** This side of an engine's process: requests out, answers back, and an end to what takes too long. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { Request } from "./engines/serve.ts";
import type { Work } from "./work.ts";

/** Why an engine has no figure. */
export class Cannot extends Error {}

export class Client {
  private readonly child: ChildProcess;
  private waiting: { resolve(line: string): void; reject(error: Cannot): void } | undefined;
  private complaint = "";
  private ended: string | undefined;

  constructor(command: readonly string[]) {
    this.child = spawn(command[0], command.slice(1), { stdio: ["pipe", "pipe", "pipe"] });
    createInterface({ input: this.child.stdout! }).on("line", (line) => {
      if (line.startsWith("@")) this.waiting?.resolve(line.slice(1)); // libraries print too
    });
    this.child.stderr!.on("data", (data: Buffer) => {
      const last = String(data).trim().split("\n").at(-1)!;
      if (last !== "") this.complaint = last;
    });
    this.child.stdin!.on("error", () => {}); // "close" says why
    this.child.on("error", (error) => this.end(error.message));
    this.child.on("close", () => this.end(`its process ended: ${this.complaint || "no word"}`));
  }

  get alive(): boolean {
    return this.ended === undefined;
  }

  about(): Promise<Record<string, string>> {
    return this.request({ op: "about" }, 60);
  }

  /** Cold: without a call. Else warmed up, and `call` is the seconds that one takes. */
  prepare(
    work: Work,
    { warm = true, limit }: { warm?: boolean; limit: number },
  ): Promise<{ call: number; settings?: string }> {
    return this.request({ op: "prepare", work, warm }, limit);
  }

  /** Seconds per call, several times in about `seconds`. */
  async run(seconds: number, limit: number): Promise<number[]> {
    return (await this.request<{ samples: number[] }>({ op: "run", seconds }, limit)).samples;
  }

  /** Seconds from now until so many calls are done, for each of the ascending numbers. */
  async calls(until: number[], limit: number): Promise<number[]> {
    return (await this.request<{ after: number[] }>({ op: "calls", until }, limit)).after;
  }

  memory(): Promise<{ rss: number; peakRss: number; wasm?: number }> {
    return this.request({ op: "memory" }, 60);
  }

  async release(): Promise<void> {
    if (this.alive) await this.request({ op: "release" }, 60);
  }

  stop(): void {
    this.child.kill("SIGKILL");
    this.end("stopped");
  }

  private end(reason: string): void {
    this.ended ??= reason;
    this.waiting?.reject(new Cannot(this.ended));
  }

  /** Throws Cannot for a refusal, a process that ended, and one that answers too late, which is stopped. */
  private async request<Answer>(request: Request, limit: number): Promise<Answer> {
    if (this.ended !== undefined) throw new Cannot(this.ended);
    let timer: NodeJS.Timeout | undefined;
    try {
      const line = await new Promise<string>((resolve, reject) => {
        this.waiting = { resolve, reject };
        timer = setTimeout(() => {
          this.end(`over ${limit} s`);
          this.stop();
        }, limit * 1e3);
        this.child.stdin!.write(`${JSON.stringify(request)}\n`);
      });
      const answer = JSON.parse(line) as Answer & { cannot?: string };
      if (answer.cannot !== undefined) throw new Cannot(answer.cannot);
      return answer;
    } finally {
      clearTimeout(timer);
      this.waiting = undefined;
    }
  }
}
