/**
 * Files of the repository that tests read, wherever they run: from the disk in Node and Deno (`--allow-read`), in a
 * page from the server that gave it (portable/browser.ts). Paths start at the root of the repository.
 */

/** Undefined in pages. */
const fs = (globalThis as { process?: typeof process }).process?.getBuiltinModule("node:fs");

export async function readBytes(path: string): Promise<Uint8Array<ArrayBuffer>> {
  if (fs !== undefined) return new Uint8Array(fs.readFileSync(path));
  return new Uint8Array(await (await request("read", path)).arrayBuffer());
}

/** The path itself if it is a file's, or those of all files in the folder and its folders, sorted. */
export async function listFiles(path: string): Promise<string[]> {
  if (fs === undefined) return (await (await request("list", path)).json()) as string[];
  if (fs.statSync(path).isFile()) return [path];
  const inside = fs
    .readdirSync(path, { withFileTypes: true })
    .map(({ name }) => listFiles(`${path.replace(/\/$/, "")}/${name}`));
  return (await Promise.all(inside)).flat().sort();
}

async function request(what: "read" | "list", path: string): Promise<Response> {
  const response = await fetch(`/${what}/${path}`);
  if (!response.ok)
    throw new Error(`cannot ${what} ${path}: the server answers ${response.status}`);
  return response;
}
