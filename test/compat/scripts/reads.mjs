// What the official SDK reads, in both versions of the API, with its response validation on.
import { encryptEnvVars, getAppRevisionDetail, getAppRevisions, verifyEnvEncryptPublicKey, watchCvmState } from "@phala/cloud";
import { assert, check, cloud, end } from "./checks.mjs";
import { NEW, OLD, client, connect, http, oldClient, sha256, stranger } from "./clients.mjs";

await check("getCurrentUser/2026", async () => {
  const me = await client.getCurrentUser();
  assert.equal(me.workspace.slug, cloud.workspace);
  assert.equal(typeof me.user.username, "string");
});
await check("getCurrentUser/2025", async () => {
  const me = await oldClient.getCurrentUser();
  assert.equal(typeof me.username, "string");
  assert.equal(typeof me.credits, "number");
});
await check("getCurrentUser/other workspace", async () => {
  assert.equal((await stranger.getCurrentUser()).workspace.slug, cloud.second_workspace);
});

const known = {};
for (const [version, api] of [[NEW, client], [OLD, oldClient]]) {
  await check(`getCvmList/${version}`, async () => {
    const page = await api.getCvmList({ page: 1, page_size: 10 });
    assert.equal(page.total, cloud.cvms.length);
    assert.deepEqual(page.items.map((cvm) => (cvm.hosted ?? cvm).name).sort(), cloud.cvms.map((cvm) => cvm.name).sort());
    assert.equal(page.page, 1);
    assert.equal(page.pages, 1);
  });
  await check(`getCvmList/${version}/second page`, async () => {
    const page = await api.getCvmList({ page: 2, page_size: 1 });
    assert.equal(page.items.length, 1);
    assert.equal(page.pages, 2);
  });
}
await check("getCvmList/other workspace", async () => assert.equal((await stranger.getCvmList()).total, 0));

for (const seed of cloud.cvms) {
  await check(`getCvmInfo/${seed.name}`, async () => {
    const cvm = await client.getCvmInfo({ id: seed.id });
    const old = await oldClient.getCvmInfo({ id: seed.id });
    known[seed.name] = { cvm, old };
    assert.equal(cvm.status, "running");
    assert.equal(cvm.kms_type, seed.kms_type);
    assert.equal(cvm.progress, null);
    assert.equal(cvm.workspace.slug, cloud.workspace);
    assert.equal(typeof cvm.compose_file.docker_compose_file, "string");
    assert.equal(old.status, "running");
    assert.equal(old.in_progress, false);
    assert.equal(old.app_id, seed.app_id);
    assert.match(old.encrypted_env_pubkey, /^[0-9a-f]{64}$/);
    if (seed.kms_type !== "phala") {
      assert.equal(cvm.kms_info.chain_id, cloud.chain_id);
      assert.equal(cvm.kms_info.dstack_app_address.toLowerCase(), `0x${seed.app_id}`);
      assert.equal(old.contract_address.toLowerCase(), `0x${seed.app_id}`);
      assert.equal(old.kms_info.chain.id, cloud.chain_id);
    }
  });
  const { cvm, old } = known[seed.name];
  const forms = {
    "id hashed": { id: seed.id },
    "id numeric": { id: String(old.id) },
    "id name": { id: seed.name },
    "id 0x app": { id: `0x${seed.app_id}` },
    "id 0x app upper case": { id: `0x${seed.app_id.toUpperCase()}` },
    "id instance_": { id: `instance_${cvm.instance_id}` },
    "uuid dashed": { uuid: seed.vm_uuid },
    "uuid bare": { uuid: seed.vm_uuid.replaceAll("-", "") },
    "uuid upper case": { uuid: seed.vm_uuid.toUpperCase() },
    "app_id bare": { app_id: seed.app_id },
    "app_id upper case": { app_id: seed.app_id.toUpperCase() },
    "app_id 0x": { app_id: `0x${seed.app_id}` },
    "app_id app_": { app_id: `app_${seed.app_id}` },
    instance_id: { instance_id: cvm.instance_id },
    name: { name: seed.name },
  };
  for (const [form, reference] of Object.entries(forms)) {
    await check(`getCvmInfo/${seed.name}/${form}`, async () => {
      assert.equal((await client.getCvmInfo(reference)).vm_uuid, seed.vm_uuid);
      assert.equal((await oldClient.getCvmInfo(reference)).vm_uuid, seed.vm_uuid);
    });
  }

  await check(`getCvmComposeFile/${seed.name}`, async () => {
    const document = await client.getCvmComposeFile({ id: seed.id });
    assert.equal(document.docker_compose_file, cvm.compose_file.docker_compose_file);
    const raw = await http(`/cvms/${seed.id}/compose_file`);
    assert.equal(raw.headers.get("content-type").split(";")[0], "application/json");
    const bytes = Buffer.from(await raw.arrayBuffer());
    assert.equal(sha256(bytes), cvm.compose_hash);
    assert.deepEqual(JSON.parse(bytes).docker_compose_file, document.docker_compose_file);
  });
  await check(`getCvmDockerCompose/${seed.name}`, async () => {
    const yaml = await client.getCvmDockerCompose({ id: seed.id });
    assert.equal(yaml, cvm.compose_file.docker_compose_file);
    const raw = await http(`/cvms/${seed.id}/docker-compose.yml`);
    assert.deepEqual(Buffer.from(await raw.arrayBuffer()), Buffer.from(yaml));
  });
  await check(`getCvmState/${seed.name}`, async () => {
    const state = await client.getCvmState({ id: seed.id });
    assert.equal(state.name, seed.name);
    assert.equal(state.status, "running");
  });
  await check(`watchCvmState/${seed.name}`, async () => {
    const events = [];
    const state = await watchCvmState(client, { id: seed.id, target: "running", maxRetries: 1 }, { onEvent: (event) => events.push(event.type) });
    assert.equal(state.status, "running");
    assert.deepEqual(events, ["state", "complete"]);
  });
  let revision;
  await check(`getAppRevisions/${seed.name}`, async () => {
    const page = await getAppRevisions(client, { appId: seed.app_id, page: 1, page_size: 10 });
    assert.equal(page.total, 1);
    assert.equal(page.total_pages, 1);
    [revision] = page.revisions;
    assert.equal(revision.operation_type, "deploy");
    assert.equal(revision.compose_hash, known[seed.name].cvm.compose_hash);
    assert.equal(revision.cvm.name, seed.name);
    assert.equal(revision.workspace.slug, cloud.workspace);
    assert.equal(typeof revision.triggered_by.username, "string");
  });
  await check(`getAppRevisionDetail/${seed.name}`, async () => {
    const at = { appId: seed.app_id, revisionId: revision.revision_id };
    const detail = await getAppRevisionDetail(client, at);
    assert.equal(typeof detail.compose_file.docker_compose_file, "string");
    const raw = await getAppRevisionDetail(client, { ...at, rawComposeFile: true });
    assert.equal(sha256(raw.compose_file), revision.compose_hash);
  });
  await check(`watchCvmState/${seed.name}/prefix ends in a slash`, async () => {
    const slashed = connect({ baseURL: `${cloud.api_url}/` });
    assert.equal((await watchCvmState(slashed, { id: seed.id, target: "running", maxRetries: 1 })).status, "running");
  });
}

let services = [];
await check("getKmsList", async () => {
  services = (await client.getKmsList()).items;
  assert.equal(services.length, 3); // phala, ethereum and base
});
await check("getKmsList/on chain", async () => {
  const { items } = await client.getKmsList({ is_onchain: true, page_size: 100 });
  assert.equal(items.length, 2); // ethereum and base, on the one chain
  assert.equal(items[0].chain_id, cloud.chain_id);
  assert.equal(items[0].kms_contract_address.toLowerCase(), cloud.kms_contract_address.toLowerCase());
  assert.equal(items[0].chain.contracts.multicall3.address.toLowerCase(), cloud.multicall3_address.toLowerCase());
  assert.deepEqual(items[0].chain.rpcUrls.default.http, [cloud.rpc_url]);
});
for (const service of services) {
  for (const reference of [service.id, service.slug]) {
    await check(`getKmsInfo/${service.slug}/${reference === service.id ? "id" : "slug"}`, async () => {
      assert.deepEqual(await client.getKmsInfo({ kms_id: reference }), service);
    });
  }
  const seed = cloud.cvms.find((cvm) => (cvm.kms_type === "phala") === (service.chain_id === null));
  const references = { id: service.id, slug: service.slug, type: seed.kms_type };
  for (const [form, kms] of Object.entries(references)) {
    await check(`getAppEnvEncryptPubKey/${service.slug}/${form}`, async () => {
      for (const appId of [seed.app_id, `0x${seed.app_id}`, `0x${seed.app_id.toUpperCase()}`]) {
        const { public_key: key, signature } = await client.getAppEnvEncryptPubKey({ kms, app_id: appId });
        assert.equal(key.replace(/^0x/, ""), known[seed.name].old.encrypted_env_pubkey);
        const signer = verifyEnvEncryptPublicKey(hex(key), hex(signature), seed.app_id);
        assert.match(signer, /^0x0[23][0-9a-f]{64}$/);
      }
    });
  }
  await check(`encryptEnvVars/${service.slug}`, async () => {
    const { public_key: key } = await client.getAppEnvEncryptPubKey({ kms: service.slug, app_id: seed.app_id });
    const sealed = await encryptEnvVars([{ key: "SECRET", value: "grüße" }], key);
    assert.match(sealed, /^[0-9a-f]{120,}$/);
  });
}
await check("getAppEnvEncryptPubKey/one signer for all apps", async () => {
  const signers = new Set();
  for (const seed of cloud.cvms) {
    const answer = await client.getAppEnvEncryptPubKey({ kms: services[0].slug, app_id: seed.app_id });
    signers.add(verifyEnvEncryptPublicKey(hex(answer.public_key), hex(answer.signature), seed.app_id));
    assert.notEqual(verifyEnvEncryptPublicKey(hex(answer.public_key), hex(answer.signature), "00".repeat(20)), [...signers][0]);
  }
  assert.equal(signers.size, 1);
});
await check("nextAppIds", async () => {
  const { app_ids: ids } = await client.nextAppIds({ counts: 5 });
  assert.equal(new Set(ids.map((id) => id.app_id)).size, 5);
  ids.forEach((id) => assert.match(id.app_id, /^[0-9a-f]{40}$/));
});
await check("getAvailableNodes", async () => {
  const available = await client.getAvailableNodes();
  assert.equal(available.nodes.length, 1);
  assert.equal(available.nodes[0].support_onchain_kms, true);
  assert.match(available.nodes[0].device_id, /^[0-9a-f]{64}$/);
  assert.deepEqual([...available.nodes[0].kms_list].sort(), services.map((service) => service.slug).sort());
});
end();

function hex(text) {
  return Buffer.from(text.replace(/^0x/, ""), "hex");
}
