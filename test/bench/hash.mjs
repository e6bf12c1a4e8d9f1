// Times getComposeHash of the JavaScript SDK: node hash.mjs NODE_MODULES DOCUMENT
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
const require = createRequire(process.argv[2] + "/");
const { getComposeHash } = require("@phala/dstack-sdk");
const document = JSON.parse(readFileSync(process.argv[3], "utf8"));
const times = [];
let hash = "";
for (let i = 0; i < 300; i++) {
  const began = process.hrtime.bigint();
  hash = getComposeHash(document);
  times.push(Number(process.hrtime.bigint() - began));
}
times.sort((a, b) => a - b);
console.log(JSON.stringify({ hash, nanoseconds: times[times.length >> 1] }));
