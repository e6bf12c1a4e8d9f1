// Compiles the contracts under src/ with npm's solc and writes artifacts/.
//
//   node build.mjs           compile and write
//   node build.mjs --check   compile and compare byte for byte; exit 1 on a difference
//
// The output depends only on the files listed as inputs in
// artifacts/manifest.json; Go tests compare their digests without npm.
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));
const compiler = "0.8.24+commit.e11b9ed9";

// The settings of the contracts that are deployed in the field, so that our
// bytecode has their gas costs.
const settings = {
  optimizer: { enabled: true, runs: 200 },
  evmVersion: "shanghai",
  viaIR: false,
};

const contracts = {
  DstackApp: "src/DstackApp.sol",
  DstackKms: "src/DstackKms.sol",
  ERC1967Proxy: "@openzeppelin/contracts/proxy/ERC1967/ERC1967Proxy.sol",
  IAppAuth: "src/IAppAuth.sol",
  IAppAuthBasicManagement: "src/IAppAuthBasicManagement.sol",
  Multicall3: "src/Multicall3.sol",
};

const read = (path) => readFileSync(join(root, path), "utf8");
const sha256 = (text) => createHash("sha256").update(text).digest("hex");
const asJSON = (value) => JSON.stringify(value, null, 2) + "\n";

function loadCompiler() {
  const solc = createRequire(import.meta.url)("solc");
  if (!solc.version().startsWith(compiler)) {
    throw new Error(`solc is ${solc.version()}, want ${compiler}: run npm ci`);
  }
  return solc;
}

function compile(solc) {
  const ours = readdirSync(join(root, "src"))
    .filter((name) => name.endsWith(".sol"))
    .sort()
    .map((name) => `src/${name}`);
  const paths = [...new Set([...ours, ...Object.values(contracts)])];
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(paths.map((path) => [path, { content: resolve(path) }])),
    settings: {
      ...settings,
      outputSelection: {
        "*": {
          "*": [
            "abi",
            "evm.bytecode.object",
            "evm.deployedBytecode.object",
            "evm.methodIdentifiers",
            "storageLayout",
          ],
        },
      },
    },
  };
  const output = JSON.parse(
    solc.compile(JSON.stringify(input), { import: (path) => ({ contents: resolve(path) }) }),
  );
  const complaints = output.errors ?? [];
  if (complaints.length > 0) {
    throw new Error(complaints.map((e) => e.formattedMessage).join("\n"));
  }
  return { ours, output };
}

function resolve(path) {
  return path.startsWith("@") ? read(`node_modules/${path}`) : read(path);
}

function artifact(name, source, compiled) {
  const layout = compiled.storageLayout ?? { storage: [], types: {} };
  return {
    contractName: name,
    sourceName: source,
    abi: compiled.abi,
    bytecode: "0x" + compiled.evm.bytecode.object,
    deployedBytecode: "0x" + compiled.evm.deployedBytecode.object,
    selectors: Object.fromEntries(
      Object.entries(compiled.evm.methodIdentifiers).map(([signature, id]) => [signature, "0x" + id]),
    ),
    storageLayout: layout.storage.map(({ label, slot, offset, type }) => ({
      label,
      slot: Number(slot),
      offset,
      type: layout.types[type].label,
    })),
  };
}

function build() {
  const { ours, output } = compile(loadCompiler());
  const files = {};
  for (const [name, source] of Object.entries(contracts)) {
    files[`artifacts/${name}.json`] = asJSON(artifact(name, source, output.contracts[source][name]));
  }
  const inputs = [...ours, "build.mjs", "package.json", "package-lock.json"];
  const digests = (entries) => Object.fromEntries(entries.map(([path, text]) => [path, sha256(text)]));
  files["artifacts/manifest.json"] = asJSON({
    compiler,
    settings,
    inputs: digests(inputs.map((path) => [path, read(path)])),
    imports: digests(
      Object.keys(output.sources)
        .filter((path) => path.startsWith("@"))
        .sort()
        .map((path) => [path, resolve(path)]),
    ),
    artifacts: digests(Object.entries(files)),
  });
  return files;
}

function check(files) {
  const wrong = Object.entries(files)
    .filter(([path, text]) => !existsSync(join(root, path)) || read(path) !== text)
    .map(([path]) => path);
  const extra = readdirSync(join(root, "artifacts"))
    .map((name) => `artifacts/${name}`)
    .filter((path) => !(path in files));
  for (const path of wrong) console.error(`${path} differs from what its source compiles to`);
  for (const path of extra) console.error(`${path} has no source`);
  if (wrong.length + extra.length > 0) {
    console.error("run: make contracts");
    process.exit(1);
  }
  console.log(`${Object.keys(files).length} artifacts match their sources`);
}

const files = build();
if (process.argv.includes("--check")) {
  check(files);
} else {
  mkdirSync(join(root, "artifacts"), { recursive: true });
  for (const [path, text] of Object.entries(files)) writeFileSync(join(root, path), text);
  console.log(`wrote ${Object.keys(files).length} files to artifacts/`);
}
