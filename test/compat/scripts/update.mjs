// The update of a running CVM, both phases, through the official SDK.
import { checkComposeHashAllowed, checkOnChainPrerequisites, safeAddComposeHash, watchCvmState } from "@phala/cloud";
import { assert, check, cloud, end, need } from "./checks.mjs";
import { approve, chain, client, compose, create, http, oldClient, settled, sha256, succeeded } from "./clients.mjs";

const [offChain, onChain] = await need("create the CVMs to update", async () => [await create("PHALA", compose("v1")), await create("ETHEREUM", compose("v1"))]);

// runs says that a CVM runs a compose file: by its hash, its document's bytes and its text.
async function runs(id, yaml, hash) {
  const cvm = await settled(id, hash);
  assert.equal(await client.getCvmDockerCompose({ id }), yaml);
  assert.equal((await client.getCvmComposeFile({ id })).docker_compose_file, yaml);
  assert.equal((await client.getCvmState({ id })).status, "running");
  return cvm;
}

await check("off chain/updateDockerCompose", async () => {
  const { id } = offChain.cvm;
  const yaml = compose("v2");
  const result = await client.updateDockerCompose({ id, docker_compose_file: yaml });
  assert.equal(result.status, "in_progress");
  assert.notEqual(result.correlation_id, "");
  const during = await client.getCvmState({ id });
  assert.notEqual(during.status, "running", "the status leaves running before the answer is sent");
  assert.notEqual((await client.getCvmInfo({ id })).progress, null);
  assert.equal((await oldClient.getCvmInfo({ id })).in_progress, true);
  const after = await runs(id, yaml);
  assert.notEqual(after.compose_hash, offChain.cvm.compose_hash);
  assert.equal(after.instance_id, offChain.cvm.instance_id);
  assert.equal(after.vm_uuid, offChain.cvm.vm_uuid);
  assert.equal(after.progress, null);
});
await check("off chain/watchCvmState follows an update", async () => {
  const { id } = offChain.cvm;
  await client.updateDockerCompose({ id, docker_compose_file: compose("v3") });
  const seen = [];
  const state = await watchCvmState(client, { id, target: "running", maxRetries: 1 }, { onEvent: (event) => seen.push(event) });
  assert.equal(state.status, "running");
  const statuses = seen.filter((event) => event.type === "state").map((event) => event.data.status);
  assert.notEqual(statuses[0], "running");
  assert.equal(statuses.at(-1), "running");
  assert.equal(seen.at(-1).type, "complete");
  assert.equal(seen.at(-1).data.target, "running");
  assert(!seen.some((event) => event.type === "error"), "no error event");
  await runs(id, compose("v3"));
});
await check("off chain/unchanged restarts nothing", async () => {
  const { id } = offChain.cvm;
  const result = await client.updateDockerCompose({ id, docker_compose_file: compose("v3") });
  assert.equal(result.status, "in_progress");
  assert.equal((await client.getCvmState({ id })).status, "running");
  assert.equal((await client.getCvmInfo({ id })).progress, null);
});
await check("off chain/safeUpdateDockerCompose, bytes that YAML tools would change", async () => {
  const { id } = offChain.cvm;
  const yaml = "# grüße <&>\r\nservices:\r\n  'web':   {image: \"nginx\", labels: {x: \"a\u2028b 😀\"}}   \r\n\r\n";
  assert.equal(succeeded(await client.safeUpdateDockerCompose({ id, docker_compose_file: yaml })).status, "in_progress");
  await runs(id, yaml);
});
for (const [field, reference] of [["uuid", offChain.cvm.vm_uuid], ["app_id", offChain.cvm.app_id], ["instance_id", offChain.cvm.instance_id], ["name", offChain.name]]) {
  await check(`off chain/addressed by ${field}`, async () => {
    await client.updateDockerCompose({ [field]: reference, docker_compose_file: compose(`by ${field}`) });
    await runs(offChain.cvm.id, compose(`by ${field}`));
  });
}
await check("off chain/a form with the field file", async () => {
  const form = new FormData();
  form.set("file", new Blob([compose("form")], { type: "text/yaml" }), "docker-compose.yml");
  const response = await http(`/cvms/${offChain.cvm.id}/docker-compose`, { method: "PATCH", body: form });
  assert.equal(response.status, 202);
  await runs(offChain.cvm.id, compose("form"));
});

// propose is phase 1 of an on-chain CVM, with what the answer has to say.
async function propose(yaml) {
  const { cvm } = onChain;
  const before = await client.getCvmInfo({ id: cvm.id });
  const need = succeeded(await client.safeUpdateDockerCompose({ id: cvm.id, docker_compose_file: yaml }));
  assert.equal(need.status, "precondition_required");
  assert.match(need.compose_hash, /^[0-9a-f]{64}$/);
  assert.equal(need.app_id, cvm.app_id);
  assert.equal(need.device_id, onChain.provisioned.device_id);
  assert.equal(need.kms_info.chain_id, cloud.chain_id);
  assert.equal(need.kms_info.chain.rpcUrls.default.http[0], cloud.rpc_url);
  const after = await client.getCvmInfo({ id: cvm.id });
  assert.equal(after.status, "running");
  assert.equal(after.compose_hash, before.compose_hash, "phase 1 changes nothing");
  return need;
}
const at = () => ({ chain, rpcUrl: cloud.rpc_url, appAddress: `0x${onChain.cvm.app_id}` });
const confirm = (yaml, composeHash, transactionHash) =>
  client.updateDockerCompose({ id: onChain.cvm.id, docker_compose_file: yaml, compose_hash: composeHash, transaction_hash: transactionHash });

await check("on chain/both phases with the SDK's addComposeHash", async () => {
  const yaml = compose("chain v2");
  const { compose_hash: hash, device_id: deviceId } = await propose(yaml);
  assert.deepEqual(await checkOnChainPrerequisites({ ...at(), deviceId, composeHash: hash }), { allowAnyDevice: false, deviceAllowed: true, composeHashAllowed: false });
  const approval = await approve(onChain.cvm.app_id, hash);
  assert.equal(approval.composeHash, `0x${hash}`);
  assert.equal(await checkComposeHashAllowed({ ...at(), composeHash: hash }), true);
  assert.deepEqual(await checkOnChainPrerequisites({ ...at(), deviceId, composeHash: hash }), { allowAnyDevice: false, deviceAllowed: true, composeHashAllowed: true });
  const result = await confirm(yaml, hash, approval.transactionHash);
  assert.equal(result.status, "in_progress");
  assert.notEqual((await client.getCvmState({ id: onChain.cvm.id })).status, "running");
  const again = await confirm(yaml, hash, approval.transactionHash);
  assert.equal(again.correlation_id, result.correlation_id, "phase 2 repeated while it rolls out");
  await runs(onChain.cvm.id, yaml, hash);
  const later = await confirm(yaml, hash, approval.transactionHash);
  assert.equal(later.status, "in_progress");
  assert.equal((await client.getCvmState({ id: onChain.cvm.id })).status, "running", "phase 2 repeated after it is done restarts nothing");
});
const spellings = {
  "0x before the hash": (hash, tx) => [`0x${hash}`, tx],
  "upper case": (hash, tx) => [hash.toUpperCase(), tx.toUpperCase().replace("0X", "0x")],
  "transaction without 0x": (hash, tx) => [hash, tx.slice(2)],
  "already-registered": (hash) => [hash, "already-registered"],
  "no transaction": (hash) => [hash, undefined],
};
for (const [spelling, write] of Object.entries(spellings)) {
  await check(`on chain/phase 2/${spelling}`, async () => {
    const yaml = compose(spelling);
    const { compose_hash: hash } = await propose(yaml);
    const { transactionHash } = await approve(onChain.cvm.app_id, hash);
    const result = await confirm(yaml, ...write(hash, transactionHash));
    assert.equal(result.status, "in_progress");
    await runs(onChain.cvm.id, yaml, hash);
  });
}
await check("on chain/phase 1 repeated names the same hash", async () => {
  const yaml = compose("twice");
  const first = await propose(yaml);
  const second = await propose(yaml);
  assert.equal(second.compose_hash, first.compose_hash);
});
await check("on chain/addComposeHash of what is allowed already", async () => {
  const yaml = compose("allowed before");
  const { compose_hash: hash } = await propose(yaml);
  await approve(onChain.cvm.app_id, hash);
  const { transactionHash } = await approve(onChain.cvm.app_id, hash);
  await confirm(yaml, hash, transactionHash);
  await runs(onChain.cvm.id, yaml, hash);
});
await check("on chain/phase 1 of what the contract allows already", async () => {
  const yaml = compose("known to the contract");
  const { compose_hash: hash } = await propose(yaml);
  await approve(onChain.cvm.app_id, hash);
  const result = await client.updateDockerCompose({ id: onChain.cvm.id, docker_compose_file: yaml });
  if (result.status === "precondition_required") {
    assert.equal(result.compose_hash, hash);
    await confirm(yaml, hash, "already-registered");
  }
  await runs(onChain.cvm.id, yaml, hash);
});
await check("on chain/going back to a document that ran before", async () => {
  const yaml = compose("chain v2");
  const { cvm } = onChain;
  const result = await client.updateDockerCompose({ id: cvm.id, docker_compose_file: yaml });
  if (result.status === "precondition_required") {
    await confirm(yaml, result.compose_hash, "already-registered");
  }
  await runs(cvm.id, yaml);
});
await check("on chain/safeAddComposeHash of somebody who is not the owner", async () => {
  const result = await safeAddComposeHash({ ...at(), appId: at().appAddress, composeHash: sha256("x"), privateKey: `0x${"11".repeat(32)}`, skipPrerequisiteChecks: true });
  assert.equal(result.success, false);
  assert.match(result.error.message, /owner/i);
});
end();
