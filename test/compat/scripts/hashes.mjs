// Compose hashes of generated documents by @phala/dstack-sdk, for the Go side to compare.
import { getComposeHash } from "@phala/dstack-sdk";
import { getComposeHash as hashOfCloud } from "@phala/cloud";
import { assert, end, value } from "./checks.mjs";

// A small generator with a fixed seed (xorshift), so that a failure can be repeated.
let state = 0x2545f491;
function random(limit) {
  state ^= state << 13;
  state ^= state >>> 17;
  state ^= state << 5;
  return (state >>> 0) % limit;
}
const one = (list) => list[random(list.length)];

const pieces = ["", "a", "image: nginx\n", "é", "😀", "\u2028", "\u2029", "\u0000", "\u001f", "\u007f", "\b\t\n\f\r", "<&>", "\"", "\\", "\": ", "/", "\ud800", "\udc00", "\ufeff", "٣", "__proto__"];
const numbers = [0, -0, 1, -1, 0.1, 1.5, 1e21, 1e-7, 123456789012345680000, 2 ** 53, -(2 ** 53), 5e-324, 1.7976931348623157e308, 1e20, 0.000001, 100];
const keys = ["docker_compose_file", "name", "runner", "features", "zz", "Zz", "10", "9", "01", "-1", "4294967294", "4294967295", "é", "😀", "\ue000", "", "a b", "\u2028", "\n"];

const string = () => Array.from({ length: random(5) }, () => one(pieces)).join("");
function any(depth) {
  switch (random(depth > 0 ? 8 : 5)) {
    case 0: return null;
    case 1: return random(2) === 0;
    case 2: return one(numbers);
    case 3: return random(100_000) / one([1, 3, 7, 1000]);
    case 4: return string();
    case 5: return Array.from({ length: random(4) }, () => any(depth - 1));
    default: return object(depth - 1);
  }
}
function object(depth) {
  const entries = Array.from({ length: random(7) }, () => [random(3) === 0 ? string() : one(keys), any(depth)]);
  return Object.fromEntries(entries.filter(([key]) => key !== "__proto__"));
}

const count = 400;
for (let i = 0; i < count; i++) {
  // What is hashed is what a program reads from the text, which is also what Go is given.
  const text = JSON.stringify(object(4), null, one([undefined, 2, "\t"]));
  const hash = getComposeHash(JSON.parse(text));
  assert.equal(hashOfCloud(JSON.parse(text)), hash, "the two SDKs hash alike");
  value(`document ${i}`, { text, hash });
}
end(count);
