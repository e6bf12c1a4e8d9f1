// Start, stop, shutdown, restart, delete and cancel through the official SDK.
import { watchCvmState } from "@phala/cloud";
import { assert, check, end, need } from "./checks.mjs";
import { client, compose, create, http, oldClient, settled } from "./clients.mjs";

const [offChain, onChain] = await need("create the CVMs", async () => [await create("PHALA", compose("v1")), await create("ETHEREUM", compose("v1"))]);

// rests waits until a CVM is in a state and nothing runs on it, in both versions of the API.
async function rests(id, status) {
  await watchCvmState(client, { id, target: status, timeout: 30, maxRetries: 1, retryDelay: 1 });
  const cvm = await client.getCvmInfo({ id });
  const old = await oldClient.getCvmInfo({ id });
  assert.equal(cvm.status, status);
  assert.equal(old.status, status);
  assert.equal(cvm.progress, null);
  assert.equal(old.in_progress, false);
  assert.equal((await client.getCvmState({ id })).status, status);
  return cvm;
}

for (const { name, cvm } of [offChain, onChain]) {
  const { id, compose_hash: hash } = cvm;
  const vm = (answer, status) => {
    assert.equal(answer.status, status);
    assert.equal(answer.name, name);
    assert.equal(typeof answer.id, "number");
    assert.equal(answer.vm_uuid, cvm.vm_uuid);
  };
  await check(`${cvm.kms_type}/stopCvm`, async () => {
    vm(await client.stopCvm({ id }), "stopping");
    assert.equal((await rests(id, "stopped")).compose_hash, hash);
  });
  await check(`${cvm.kms_type}/stopCvm again`, async () => {
    vm(await client.stopCvm({ id }), "stopping");
    await rests(id, "stopped");
  });
  await check(`${cvm.kms_type}/startCvm`, async () => {
    vm(await client.startCvm({ id }), "starting");
    await settled(id, hash);
  });
  await check(`${cvm.kms_type}/shutdownCvm`, async () => {
    vm(await client.shutdownCvm({ id }), "shutting_down");
    await rests(id, "stopped");
  });
  await check(`${cvm.kms_type}/restartCvm of one that is down`, async () => {
    vm(await client.restartCvm({ id, force: false }), "restarting");
    await settled(id, hash);
  });
  await check(`${cvm.kms_type}/restartCvm with force`, async () => {
    const before = (await client.getCvmInfo({ id })).instance_id;
    vm(await client.restartCvm({ id, force: true }), "restarting");
    assert.equal((await settled(id, hash)).instance_id, before);
  });
  await check(`${cvm.kms_type}/one at a time`, async () => {
    await client.restartCvm({ id, force: false });
    const refused = await client.safeStartCvm({ id });
    if (refused.success) {
      return; // the restart was over already
    }
    assert.equal(refused.error.status, 409);
    assert.equal(refused.error.errorCode, undefined);
  });
  await check(`${cvm.kms_type}/and that ends too`, async () => settled(id, hash));
}

await check("an update starts a CVM that is stopped", async () => {
  const { id } = offChain.cvm;
  await client.stopCvm({ id });
  await rests(id, "stopped");
  await client.updateDockerCompose({ id, docker_compose_file: compose("v2") });
  await settled(id);
  assert.equal(await client.getCvmDockerCompose({ id }), compose("v2"));
});
await check("operations", async () => {
  const page = await (await http(`/cvms/${offChain.cvm.id}/operations?limit=3`)).json();
  assert.equal(page.items.length, 3);
  assert.equal(page.items[0].operation_type, "compose_update");
  assert.equal(page.items[0].status, "completed");
  const next = await (await http(`/cvms/${offChain.cvm.id}/operations?limit=3&cursor=${page.next_cursor}`)).json();
  assert.equal(next.items.length, 3);
  assert.equal((await (await http(`/cvms/${offChain.cvm.id}/operation-status`)).json()).status, "idle");
});
await check("cancel with nothing to cancel", async () => {
  const answer = await http(`/cvms/${offChain.cvm.id}/operations/cancel`, { method: "POST" });
  assert.equal(answer.status, 200);
  assert.deepEqual(await answer.json(), { cancelled: false, correlation_id: null });
});
await check("deleteCvm", async () => {
  for (const { name, cvm } of [offChain, onChain]) {
    await client.deleteCvm({ id: cvm.id });
    const gone = await client.safeGetCvmInfo({ id: cvm.id });
    assert.equal(gone.error?.status, 404);
    assert.ok(!(await client.getCvmList({ page_size: 100 })).items.some((other) => other.name === name));
  }
});
await check("deleteCvm in the middle of an update", async () => {
  const { cvm } = await create("PHALA", compose("v1"));
  await client.updateDockerCompose({ id: cvm.id, docker_compose_file: compose("v2") });
  await client.deleteCvm({ id: cvm.id });
  assert.equal((await client.safeGetCvmInfo({ id: cvm.id })).error?.status, 404);
});
end();
