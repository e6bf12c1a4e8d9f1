// safeUpdateDockerCompose on each refusal: the error class, its code, and that the CVM runs what it ran.
import { AuthError, BusinessError, ResourceError, ValidationError, isConflictError } from "@phala/cloud";
import { createPublicClient, createWalletClient, encodeFunctionData, http as transport, parseAbi } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { assert, check, cloud, end, need } from "./checks.mjs";
import { approve, chain, client, compose, connect, create, http, settled, sha256, stranger, succeeded } from "./clients.mjs";

const [offChain, onChain, other] = await need("create the CVMs", async () => [
  await create("PHALA", compose("v1")), await create("ETHEREUM", compose("v1")), await create("ETHEREUM", compose("other")),
]);
const id = onChain.cvm.id;

const update = (fields, api = client) => api.safeUpdateDockerCompose({ id, ...fields });

// refused looks at an error the way users of the SDK do.
function refused(result, kind, status, code) {
  assert.equal(result.success, false, "it must not succeed");
  const { error } = result;
  assert(error instanceof kind, `${error.constructor.name} is not ${kind.name}: ${error.message}`);
  assert.equal(error.status, status);
  assert.equal(error.errorCode, code);
  assert.notEqual(error.message, "");
  if (kind === ResourceError) {
    assert((error.suggestions ?? error.structuredDetails).length > 0, "it says what is wrong or what to do next");
  }
  return error;
}

// untouched is a check after which the CVM has to run what it ran before, and no step of a boot was taken.
const untouched = (name, cvmId, run) => check(name, async () => {
  const before = await client.getCvmInfo({ id: cvmId });
  await run();
  const after = await client.getCvmInfo({ id: cvmId });
  assert.equal(after.status, "running");
  assert.equal(after.compose_hash, before.compose_hash);
  assert.equal(after.progress, null);
});

async function propose(yaml) {
  const result = succeeded(await update({ docker_compose_file: yaml }));
  assert.equal(result.status, "precondition_required");
  return result.compose_hash;
}

const wallet = createWalletClient({ chain, transport: transport(cloud.rpc_url), account: privateKeyToAccount(cloud.owner_private_key) });
const chainReader = createPublicClient({ chain, transport: transport(cloud.rpc_url), pollingInterval: 50 });
const app = parseAbi(["function addComposeHash(bytes32)", "function removeComposeHash(bytes32)"]);

// send sends a transaction without asking first whether it can succeed.
async function send(to, functionName, hash) {
  const tx = await wallet.sendTransaction({ to: `0x${to}`, data: encodeFunctionData({ abi: app, functionName, args: [`0x${hash}`] }), gas: 300_000n });
  return chainReader.waitForTransactionReceipt({ hash: tx });
}

await untouched("465 is no error", id, async () => {
  const result = await update({ docker_compose_file: compose("465") });
  assert.equal(result.success, true);
  assert.equal(result.data.status, "precondition_required");
});
await untouched("466/unknown hash", id, async () => {
  refused(await update({ docker_compose_file: compose("unknown"), compose_hash: sha256("?"), transaction_hash: "already-registered" }), ResourceError, 466, "ERR-01-006");
});
await untouched("466/a hash that is none", id, async () => {
  refused(await update({ docker_compose_file: compose("x"), compose_hash: "zz", transaction_hash: "already-registered" }), ResourceError, 466, "ERR-01-006");
});
await untouched("466/YAML changed between the phases", id, async () => {
  const hash = await propose(compose("approved"));
  const { transactionHash } = await approve(onChain.cvm.app_id, hash);
  const error = refused(await update({ docker_compose_file: compose("something else"), compose_hash: hash, transaction_hash: transactionHash }), ResourceError, 466, "ERR-01-006");
  assert(error.structuredDetails.some((detail) => detail.value === hash), "it names the hash");
});
await untouched("466/one blank more", id, async () => {
  const hash = await propose(compose("blank"));
  refused(await update({ docker_compose_file: `${compose("blank")} `, compose_hash: hash, transaction_hash: "already-registered" }), ResourceError, 466, "ERR-01-006");
});
await untouched("466/superseded by a newer proposal", id, async () => {
  const hash = await propose(compose("older"));
  await propose(compose("newer"));
  refused(await update({ docker_compose_file: compose("older"), compose_hash: hash, transaction_hash: "already-registered" }), ResourceError, 466, "ERR-01-006");
});
await untouched("466/hash of another CVM", id, async () => {
  refused(await update({ docker_compose_file: compose("other"), compose_hash: other.cvm.compose_hash, transaction_hash: "already-registered" }), ResourceError, 466, "ERR-01-006");
});
await untouched("467/unknown transaction", id, async () => {
  const hash = await propose(compose("unknown tx"));
  refused(await update({ docker_compose_file: compose("unknown tx"), compose_hash: hash, transaction_hash: `0x${"ab".repeat(32)}` }), ResourceError, 467, "ERR-01-007");
});
await untouched("467/transaction of another app", id, async () => {
  const hash = await propose(compose("other app"));
  const { transactionHash } = await approve(other.cvm.app_id, hash);
  refused(await update({ docker_compose_file: compose("other app"), compose_hash: hash, transaction_hash: transactionHash }), ResourceError, 467, "ERR-01-007");
});
await untouched("467/transaction of another hash", id, async () => {
  const hash = await propose(compose("other hash"));
  const { transactionHash } = await approve(onChain.cvm.app_id, sha256("another document"));
  refused(await update({ docker_compose_file: compose("other hash"), compose_hash: hash, transaction_hash: transactionHash }), ResourceError, 467, "ERR-01-007");
});
await untouched("467/reverted transaction", id, async () => {
  const hash = await propose(compose("reverted"));
  const receipt = await send(onChain.cvm.app_id, "addComposeHash", "00".repeat(32)); // the contract refuses the zero hash
  assert.equal(receipt.status, "reverted");
  refused(await update({ docker_compose_file: compose("reverted"), compose_hash: hash, transaction_hash: receipt.transactionHash }), ResourceError, 467, "ERR-01-007");
});
await untouched("467/a transaction hash that is none", id, async () => {
  const hash = await propose(compose("no hash"));
  refused(await update({ docker_compose_file: compose("no hash"), compose_hash: hash, transaction_hash: "0x12" }), ResourceError, 467, "ERR-01-007");
});
for (const [form, tx] of [["already-registered", "already-registered"], ["no transaction", undefined]]) {
  await untouched(`468/${form}`, id, async () => {
    const hash = await propose(compose(`not registered ${form}`));
    refused(await update({ docker_compose_file: compose(`not registered ${form}`), compose_hash: hash, transaction_hash: tx }), ResourceError, 468, "ERR-01-008");
  });
}
await untouched("468/removed after it was added", id, async () => {
  const hash = await propose(compose("removed"));
  const { transactionHash } = await approve(onChain.cvm.app_id, hash);
  const removal = await send(onChain.cvm.app_id, "removeComposeHash", hash);
  assert.equal(removal.status, "success");
  refused(await update({ docker_compose_file: compose("removed"), compose_hash: hash, transaction_hash: transactionHash }), ResourceError, 468, "ERR-01-008");
});
await check("409/another update in progress", async () => {
  const cvmId = offChain.cvm.id;
  succeeded(await client.safeUpdateDockerCompose({ id: cvmId, docker_compose_file: compose("first") }));
  const second = await client.safeUpdateDockerCompose({ id: cvmId, docker_compose_file: compose("second") });
  const error = refused(second, BusinessError, 409, undefined);
  assert.equal(error instanceof ResourceError, false, "a code would make it final");
  assert.equal(isConflictError(error), true);
  await settled(cvmId);
  assert.equal(await client.getCvmDockerCompose({ id: cvmId }), compose("first"));
});
await check("409/on chain", async () => {
  const hash = await propose(compose("busy"));
  const { transactionHash } = await approve(onChain.cvm.app_id, hash);
  succeeded(await update({ docker_compose_file: compose("busy"), compose_hash: hash, transaction_hash: transactionHash }));
  refused(await update({ docker_compose_file: compose("too early") }), BusinessError, 409, undefined);
  await settled(id, hash);
});

for (const cvm of [offChain.cvm, onChain.cvm]) {
  const on = (fields, api = client) => api.safeUpdateDockerCompose({ id: cvm.id, ...fields });
  const kind = cvm.kms_type;
  await untouched(`${kind}/422/broken YAML`, cvm.id, async () => {
    const error = refused(await on({ docker_compose_file: "services:\n  web:\n\timage: [\n" }), ResourceError, 422, "ERR-01-003");
    assert.match(JSON.stringify([error.message, error.structuredDetails]), /line|:3/i);
  });
  await untouched(`${kind}/422/not a Compose file`, cvm.id, async () => {
    refused(await on({ docker_compose_file: "services:\n  web:\n    image: 17\n    nonsense: true\n" }), ResourceError, 422, "ERR-01-003");
  });
  await untouched(`${kind}/400/blank body`, cvm.id, async () => {
    refused(await on({ docker_compose_file: " \n" }), ResourceError, 400, "ERR-01-002");
  });
  await untouched(`${kind}/400/empty body`, cvm.id, async () => {
    const response = await http(`/cvms/${cvm.id}/docker-compose`, { method: "PATCH", headers: { "Content-Type": "text/yaml" }, body: "" });
    assert.equal(response.status, 400);
    assert.equal((await response.json()).error_code, "ERR-01-002");
  });
  await untouched(`${kind}/400/JSON`, cvm.id, async () => {
    const response = await http(`/cvms/${cvm.id}/docker-compose`, { method: "PATCH", headers: { "Content-Type": "application/json" }, body: "{}" });
    assert.equal(response.status, 400);
  });
  const large = (size) => compose("large") + "#".repeat(size - compose("large").length);
  await untouched(`${kind}/413/200 KiB and one byte`, cvm.id, async () => {
    const response = await http(`/cvms/${cvm.id}/docker-compose`, { method: "PATCH", headers: { "Content-Type": "text/yaml" }, body: large(204_801) });
    assert.equal(response.status, 413);
    assert.equal((await response.json()).error_code, "ERR-01-003");
    const result = await on({ docker_compose_file: large(204_801) });
    assert.equal(result.success, false);
  });
  await untouched(`${kind}/401/no key`, cvm.id, async () => {
    refused(await on({ docker_compose_file: compose("x") }, connect({ apiKey: undefined })), AuthError, 401, undefined);
  });
  await untouched(`${kind}/401/unknown key`, cvm.id, async () => {
    refused(await on({ docker_compose_file: compose("x") }, connect({ apiKey: `${cloud.api_key.slice(0, -1)}_` })), AuthError, 401, undefined);
  });
  await untouched(`${kind}/404/key of another workspace`, cvm.id, async () => {
    const foreign = refused(await on({ docker_compose_file: compose("x") }, stranger), ResourceError, 404, "ERR-03-001");
    const missing = refused(await stranger.safeUpdateDockerCompose({ id: "cvm_00000000000000000000", docker_compose_file: compose("x") }), ResourceError, 404, "ERR-03-001");
    assert.equal(foreign.message.replace(cvm.id, ""), missing.message.replace("cvm_00000000000000000000", ""), "nothing tells that the CVM exists");
  });
}
for (const unknown of ["no-such-cvm", "app_" + "ab".repeat(20), "00000000-0000-4000-8000-000000000000", "123456789"]) {
  await check(`404/${unknown}`, async () => {
    refused(await client.safeUpdateDockerCompose({ id: unknown, docker_compose_file: compose("x") }), ResourceError, 404, "ERR-03-001");
    refused(await client.safeGetCvmInfo({ id: unknown }), ResourceError, 404, "ERR-03-001");
  });
}
await check("422/a query that the SDK lets through", async () => {
  const error = refused(await client.safeGetKmsList({ page: 1_000_001 }), ValidationError, 422, undefined);
  assert.equal(error.validationErrors[0].field, "page");
});
await check("exactly 200 KiB is taken", async () => {
  const yaml = compose("limit") + "#".repeat(204_800 - compose("limit").length);
  succeeded(await client.safeUpdateDockerCompose({ id: offChain.cvm.id, docker_compose_file: yaml }));
  await settled(offChain.cvm.id);
  assert.equal(await client.getCvmDockerCompose({ id: offChain.cvm.id }), yaml);
});
end();
