// New CVMs, through the official SDK: provision, the app's contract, commit.
import { encryptEnvVars, ResourceError } from "@phala/cloud";
import { assert, check, cloud, end } from "./checks.mjs";
import { client, compose, connect, create, deployApp, oldClient, settled, succeeded, unique } from "./clients.mjs";

await check("PHALA", async () => {
  const { provisioned, committed, name, cvm } = await create("PHALA", compose("phala"));
  assert.match(provisioned.app_id, /^[0-9a-f]{40}$/);
  assert.match(provisioned.app_env_encrypt_pubkey, /^[0-9a-f]{64}$/);
  assert.equal(committed.name, name);
  assert.equal(cvm.app_id, provisioned.app_id);
  assert.equal(await client.getCvmDockerCompose({ id: cvm.id }), compose("phala"));
});
await check("PHALA/2025", async () => {
  const { cvm } = await create("PHALA", compose("phala 2025"), oldClient);
  assert.equal(cvm.kms_type, "phala");
});
await check("PHALA/environment", async () => {
  const name = unique("env");
  const provisioned = await client.provisionCvm({ name, kms: "PHALA", env_keys: ["SECRET"], compose_file: { name: "", docker_compose_file: compose("env"), allowed_envs: ["SECRET"] } });
  const sealed = await encryptEnvVars([{ key: "SECRET", value: "s" }], provisioned.app_env_encrypt_pubkey);
  await client.commitCvmProvision({ app_id: provisioned.app_id, compose_hash: provisioned.compose_hash, encrypted_env: sealed });
  const cvm = await settled(name, provisioned.compose_hash);
  assert.deepEqual(cvm.compose_file.allowed_envs, ["SECRET"]);
});
await check("PHALA/app id of nextAppIds", async () => {
  const { app_ids: [{ app_id: appId, nonce }] } = await client.nextAppIds({ counts: 1 });
  const provisioned = await client.provisionCvm({ name: unique("nonce"), kms: "PHALA", app_id: appId, nonce, compose_file: { name: "", docker_compose_file: compose("nonce") } });
  assert.equal(provisioned.app_id, appId);
  const committed = await client.commitCvmProvision({ app_id: appId, compose_hash: provisioned.compose_hash });
  assert.equal((await settled(committed.vm_uuid, provisioned.compose_hash)).app_id, appId);
});
await check("ETHEREUM", async () => {
  const { provisioned, app, cvm } = await create("ETHEREUM", compose("ethereum"));
  assert.equal(provisioned.app_id, null);
  assert.equal(provisioned.kms_info.chain.id, cloud.chain_id);
  assert.equal(app.appId.toLowerCase(), `0x${cvm.app_id}`);
  assert.equal(app.deployer.toLowerCase(), cloud.owner_address.toLowerCase());
  assert.equal(cvm.kms_info.deployer_address.toLowerCase(), cloud.owner_address.toLowerCase());
  assert.equal(cvm.kms_type, "ethereum");
});
await check("ETHEREUM/commit again is the same CVM", async () => {
  const provisioned = await client.provisionCvm({ name: unique("again"), kms: "ETHEREUM", compose_file: { name: "", docker_compose_file: compose("again") } });
  const app = await deployApp(provisioned);
  const request = { app_id: app.appId, compose_hash: provisioned.compose_hash, contract_address: app.appAuthAddress, deployer_address: app.deployer };
  const first = await client.commitCvmProvision(request);
  const second = await client.commitCvmProvision(request);
  assert.equal(second.vm_uuid, first.vm_uuid);
  await settled(first.vm_uuid, provisioned.compose_hash);
});
await check("refused/name in use", async () => {
  const request = { name: cloud.cvms[0].name, kms: "PHALA", compose_file: { name: "", docker_compose_file: compose("x") } };
  const result = await client.safeProvisionCvm(request).then(async (provisioned) => (provisioned.success
    ? client.safeCommitCvmProvision({ app_id: provisioned.data.app_id, compose_hash: provisioned.data.compose_hash })
    : provisioned));
  assert.equal(result.success, false);
  assert(result.error instanceof ResourceError, result.error);
  assert.equal(result.error.errorCode, "ERR-01-004");
  assert.equal(result.error.status, 409);
});
await check("refused/broken YAML", async () => {
  const result = await client.safeProvisionCvm({ name: unique("broken"), kms: "PHALA", compose_file: { name: "", docker_compose_file: "services: [" } });
  assert.equal(result.success, false);
  assert.equal(result.error.errorCode, "ERR-01-003");
});
await check("refused/commit of what was not provisioned", async () => {
  const result = await client.safeCommitCvmProvision({ app_id: "ab".repeat(20), compose_hash: "cd".repeat(32) });
  assert.equal(result.success, false);
  assert(result.error.status >= 400 && result.error.status < 500, result.error);
});
await check("refused/contract that the KMS does not know", async () => {
  const provisioned = succeeded(await client.safeProvisionCvm({ name: unique("foreign"), kms: "ETHEREUM", compose_file: { name: "", docker_compose_file: compose("foreign") } }));
  const result = await client.safeCommitCvmProvision({ app_id: `0x${"ab".repeat(20)}`, compose_hash: provisioned.compose_hash });
  assert.equal(result.success, false);
  assert(result.error.status >= 400 && result.error.status < 500, result.error);
});
await check("refused/no key", async () => {
  const result = await connect({ apiKey: undefined }).safeProvisionCvm({ name: unique("nokey"), compose_file: { name: "", docker_compose_file: compose("x") } });
  assert.equal(result.success, false);
  assert.equal(result.error.isAuthError, true);
});
end();
