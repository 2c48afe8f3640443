/**
 * Serves a page that trains on MNIST in the browser, on its GPU or its CPU, and reads digits that are drawn:
 * `npm run page`, or with `-- --help`.
 *
 * Nothing but static files, as any server could give them: the built library, the page, the images. The two
 * headers isolate the page, so that the CPU device may use all cores.
 */
import fs from "node:fs";
import { createServer, type RequestListener, type Server } from "node:http";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Asked, CommandLine, UsageError } from "./common/options.ts";
import { print } from "./common/progress.ts";
import { runCommand } from "./common/run.ts";
import { mnistFile } from "./mnist/data.ts";

const help = `Serves a page that trains on MNIST in the browser, and reads what you draw.

Usage: npm run page -- [options]

  --port N     where it listens, on this machine only; 0: any free port (8080)
  -h, --help   show this

Press Ctrl-C to end it.`;

interface Settings {
  readonly port: number;
}

/** Throws UsageError. */
function readSettings(args: string[]): Asked<Settings> {
  const line = new CommandLine(args, ["port"]);
  return line.has("help") ? { help } : { port: line.whole("port", 8080, 0, 65_535) };
}

const here = path.dirname(fileURLToPath(import.meta.url));
const library = path.join(here, "../dist");

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
};

/** The file of a path that the page asks for; undefined: there is none. */
function fileOf(pathname: string): string | undefined {
  if (pathname === "/") return path.join(here, "page/index.html");
  const [, folder, ...rest] = pathname.split("/");
  const name = rest.join("/");
  if (folder === "roadless" && /^(chunks\/)?[\w-]+\.js$/.test(name))
    return path.join(library, name);
  if (folder === "mnist" && /^(train|t10k)-(images-idx3|labels-idx1)-ubyte$/.test(name)) {
    return mnistFile(name);
  }
  return undefined;
}

/** The page's own code as one module; `roadless` stays an import, which index.html maps to the built library. */
async function bundlePage(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [path.join(here, "page/main.ts")],
    bundle: true,
    external: ["roadless"],
    format: "esm",
    target: "es2022",
    write: false,
  });
  return outputFiles[0].text;
}

function answerWith(script: string): RequestListener {
  return (request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost");
    const file = fileOf(pathname);
    const content =
      pathname === "/main.js"
        ? script
        : file !== undefined && fs.existsSync(file)
          ? fs.readFileSync(file)
          : undefined;
    response.writeHead(content === undefined ? 404 : 200, {
      "Content-Type": types[path.extname(file ?? pathname)] ?? "application/octet-stream",
      "Cross-Origin-Opener-Policy": "same-origin",
      "Cross-Origin-Embedder-Policy": "require-corp",
    });
    response.end(content ?? `there is no ${pathname}\n`);
  };
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "EADDRINUSE" && error.code !== "EACCES") reject(error);
      const why = error.code === "EACCES" ? "not allowed" : "in use";
      reject(new UsageError(`--port is ${port}, which is ${why}; expected a free port, or 0`));
    });
    server.listen(port, "127.0.0.1", resolve);
  });
}

async function main({ port }: Settings): Promise<void> {
  const server = createServer(answerWith(await bundlePage()));
  await listen(server, port);
  const address = server.address();
  const found = typeof address === "object" ? address?.port : port;
  print(`open http://localhost:${found} (Ctrl-C ends the server)`);
  process.once("SIGINT", () => {
    server.close();
    server.closeAllConnections();
  });
}

await runCommand("page", readSettings, main);
