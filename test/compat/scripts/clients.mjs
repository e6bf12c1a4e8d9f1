// Clients and CVMs that the scripts share. Everything goes through the public exports of the packages.
import { createHash, randomBytes } from "node:crypto";
import { addComposeHash, createClient, deployAppAuth, watchCvmState } from "@phala/cloud";
import { assert, cloud } from "./checks.mjs";

export const OLD = "2025-10-28";
export const NEW = "2026-01-21";

export const connect = (options = {}) => createClient({ apiKey: cloud.api_key, baseURL: cloud.api_url, ...options });
export const client = connect();
export const oldClient = connect({ version: OLD });
export const stranger = connect({ apiKey: cloud.second_api_key });

// HTTP without any client, for what the SDK hides or refuses to send.
export function http(path, { headers, ...options } = {}) {
  return fetch(cloud.api_url + path, { ...options, headers: { "X-API-Key": cloud.api_key, ...headers } });
}

export const sha256 = (bytes) => createHash("sha256").update(bytes).digest("hex");
export const compose = (marker) => `services:\n  web:\n    image: nginx:1.27\n    environment:\n      MARKER: "${marker}"\n`;
export const unique = (stem) => `${stem}-${randomBytes(4).toString("hex")}`;

// succeeded returns the data of a SafeResult.
export function succeeded(result) {
  if (!result.success) {
    throw result.error;
  }
  return result.data;
}

// settled waits until a CVM runs a compose hash and nothing is in progress.
export async function settled(id, hash) {
  await watchCvmState(client, { id, target: "running", timeout: 30, maxRetries: 1, retryDelay: 1 });
  const cvm = await client.getCvmInfo({ id });
  assert.equal(cvm.status, "running");
  if (hash !== undefined) {
    assert.equal(cvm.compose_hash, hash);
  }
  const stored = await http(`/cvms/${id}/compose_file`);
  assert.equal(sha256(Buffer.from(await stored.arrayBuffer())), cvm.compose_hash, "hash of the bytes handed out");
  return cvm;
}

// The chain as the server describes it to clients, which has no entry in the SDK's own table.
export const chain = (await client.getKmsInfo({ kms_id: "ethereum" })).chain;
const owner = { chain, rpcUrl: cloud.rpc_url, privateKey: cloud.owner_private_key };

export const approve = (appId, composeHash, options = {}) => addComposeHash({ ...owner, appId: `0x${appId.replace(/^0x/, "")}`, composeHash, ...options });
export const deployApp = (provisioned) =>
  deployAppAuth({ ...owner, kmsContractAddress: provisioned.kms_info.kms_contract_address, deviceId: provisioned.device_id, composeHash: provisioned.compose_hash });

// create makes a CVM through provision and commit and waits until it runs.
export async function create(kms, yaml, api = client) {
  const name = unique(kms.toLowerCase());
  const provisioned = await api.provisionCvm({ name, kms, compose_file: { name: "", docker_compose_file: yaml } });
  let request = { app_id: provisioned.app_id, compose_hash: provisioned.compose_hash };
  let app;
  if (kms !== "PHALA") {
    app = await deployApp(provisioned);
    request = { ...request, app_id: app.appId, contract_address: app.appAuthAddress, deployer_address: app.deployer, kms_id: provisioned.kms_info.slug };
  }
  const committed = await api.commitCvmProvision(request);
  const cvm = await settled(committed.vm_uuid, provisioned.compose_hash);
  return { name, provisioned, app, committed, cvm };
}
