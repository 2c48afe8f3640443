/** Measures rows: every engine prepares, then they take turns, so that what disturbs one disturbs all. */
import type { Client } from "./client.ts";
import { Cannot } from "./client.ts";
import type { Engine } from "./engines.ts";
import { summarize } from "./row.ts";
import type { Cell, Row } from "./row.ts";

export interface Timing {
  readonly rounds: number;
  /** Of an engine's turn. */
  readonly seconds: number;
  /** The most that preparing and warming up may take, in seconds. */
  readonly limit: number;
}

interface Contestant {
  readonly engine: Engine;
  readonly client: Client;
  readonly samples: number[];
  readonly settings: string | undefined;
  /** Seconds that a call takes. */
  readonly call: number;
}

export async function measureRow(
  row: Row,
  engines: readonly Engine[],
  { rounds, seconds, limit }: Timing,
): Promise<Record<string, Cell>> {
  const cells: Record<string, Cell> = {};
  const fail = ({ name }: Engine, error: unknown): void => {
    if (!(error instanceof Cannot)) throw error;
    cells[name] = { cannot: error.message };
  };

  const contestants: Contestant[] = [];
  for (const engine of engines) {
    if (!row.groups.includes(engine.group)) continue;
    cells[engine.name] = { cannot: "not measured" }; // holds its place
    try {
      const client = engine.open();
      const { call, settings } = await client.prepare(row.work, { limit });
      contestants.push({ engine, client, samples: [], settings, call });
    } catch (error) {
      fail(engine, error);
    }
  }
  for (let round = 0; round < rounds; round++) {
    for (const { engine, client, samples, call } of contestants) {
      if (!client.alive || call > limit / 3 || (call > 1 && round > 0)) continue;
      try {
        samples.push(...(await client.run(seconds, 2 * limit)));
      } catch (error) {
        fail(engine, error);
      }
    }
  }
  for (const { engine, client, samples, settings, call } of contestants) {
    // A call that takes a good part of the limit has told enough.
    if (samples.length === 0 && call > limit / 3) samples.push(call);
    if (samples.length > 0) cells[engine.name] = summarize(row, samples, settings);
    await client.release().catch((error: unknown) => fail(engine, error));
  }
  return cells;
}
