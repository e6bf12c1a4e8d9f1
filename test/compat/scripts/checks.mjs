// Checks of a script, reported one JSON line each on file descriptor 3. Standard output is not used: the
// official SDK and its users print there.
import assert from "node:assert/strict";
import { readFileSync, writeSync } from "node:fs";

// What `lockstep dev` wrote for clients.
export const cloud = JSON.parse(process.env.LOCKSTEP_READY_FILE ? readFileSync(process.env.LOCKSTEP_READY_FILE, "utf8") : "{}");

const report = (line) => writeSync(3, `${JSON.stringify(line)}\n`);

let done = 0;

// check runs one check. A failed one does not end the script; it returns what the check returned.
export async function check(name, run) {
  const began = performance.now();
  let value;
  let problem;
  try {
    value = await run();
  } catch (error) {
    problem = describe(error);
  }
  done++;
  report({ name, ok: problem === undefined, problem, ms: Math.round(performance.now() - began) });
  return value;
}

// need runs what later checks stand on: when it fails, so does the script.
export async function need(name, run) {
  let value;
  let problem;
  await check(name, async () => {
    try {
      value = await run();
    } catch (error) {
      problem = error;
      throw error;
    }
  });
  if (problem !== undefined) {
    throw problem;
  }
  return value;
}

// end says that every check was reached, so that a script that stops halfway does not look green.
export function end(count = done) {
  report({ done: count });
}

// value gives something to the Go side to compare.
export const value = (name, content) => report({ name, value: content });

function describe(error) {
  if (!(error instanceof Error)) {
    return `thrown: ${JSON.stringify(error)}`;
  }
  const facts = ["status", "errorCode", "detail", "issues", "actual", "expected"]
    .filter((key) => error[key] !== undefined)
    .map((key) => `${key}: ${text(error[key])}`);
  return [error.stack ?? String(error), ...facts].join("\n");
}

const text = (v) => JSON.stringify(v, (_, x) => (typeof x === "bigint" ? x.toString() : x));

export { assert };
