// What the official SDK reads of what happens inside CVMs, with its response validation on.
import { getAppList, getCvmStatusBatch, getCvmUserConfig } from "@phala/cloud";
import { assert, check, cloud, end } from "./checks.mjs";
import { NEW, OLD, client, http, oldClient, stranger } from "./clients.mjs";

const seed = cloud.cvms[0];
const refused = (promise) => promise.then(() => assert.fail("it was not refused"), (error) => error);

for (const api of [client, oldClient]) {
  const version = api === client ? NEW : OLD;
  await check(`getCvmContainersStats/${version}`, async () => {
    const found = await api.getCvmContainersStats({ id: seed.id });
    assert.equal(found.is_online, true);
    assert.equal(found.error, null);
    assert.equal(found.docker_compose_file, await client.getCvmDockerCompose({ id: seed.id }));
    assert.equal(found.runner, "docker-compose");
    assert.ok(found.containers.length > 0);
    for (const container of found.containers) {
      assert.equal(container.state, "running");
      assert.match(container.names[0], /^\//);
      assert.ok(Math.abs(Date.now() / 1000 - container.created) < 3600);
      const log = await fetch(container.log_endpoint); // as the CLI does: without the API key
      assert.equal(log.status, 200);
      assert.equal(log.headers.get("content-type"), "application/x-ndjson");
    }
  });
  await check(`getCvmStats/${version}`, async () => {
    const stats = await api.getCvmStats({ id: seed.id });
    assert.equal(stats.is_online, true);
    assert.equal(stats.is_public, true);
    assert.equal(stats.status, "running");
    assert.equal(stats.sysinfo.cpu_model, "simulated"); // and nothing is made up
    assert.equal(stats.sysinfo.used_memory, 0);
    assert.ok(stats.sysinfo.num_cpus > 0 && stats.sysinfo.total_memory > 0);
  });
  await check(`getCvmNetwork/${version}`, async () => {
    const network = await api.getCvmNetwork({ id: seed.id });
    assert.equal(network.is_online, true);
    assert.equal(network.internal_ip, null); // a simulated CVM is in no network
    assert.match(network.public_urls[0].app, new RegExp(`^https://${seed.app_id}-8080\\.`));
  });
  await check(`getCvmUserConfig/${version}`, async () => {
    const config = await getCvmUserConfig(api, { id: seed.id });
    assert.deepEqual(config.ssh_authorized_keys, []);
    assert.equal(typeof config.default_gateway_domain, "string");
  });
  await check(`getCvmStatusBatch/${version}`, async () => {
    const uuids = cloud.cvms.map((cvm) => cvm.vm_uuid);
    const statuses = await getCvmStatusBatch(api, { vmUuids: [...uuids, "00000000-0000-4000-8000-000000000000"] });
    assert.deepEqual(Object.keys(statuses).sort(), [...uuids].sort());
    for (const uuid of uuids) {
      assert.equal(statuses[uuid].status, "running");
      assert.equal(statuses[uuid].in_progress, false);
      assert.equal(typeof statuses[uuid].uptime, "string");
    }
  });
  await check(`getAppList/${version}`, async () => {
    const list = await getAppList(api, { page: 1, page_size: 50 });
    assert.equal(list.total, cloud.cvms.length);
    assert.deepEqual(list.dstack_apps.map((app) => app.app_id).sort(), cloud.cvms.map((cvm) => cvm.app_id).sort());
    assert.ok(list.dstack_apps.every((app) => app.current_cvm.vm_uuid));
    assert.equal((await getAppList(api, { search: seed.name, status: ["running"] })).total, 1);
    assert.equal((await getAppList(api, { search: "no such app" })).total, 0);
  });
}
await check("syslog_endpoint", async () => {
  const { syslog_endpoint: address } = await oldClient.getCvmInfo({ id: seed.id });
  assert.ok(address.includes("?"));
  const log = await fetch(`${address}&ch=serial&tail=5&lines=5&ansi`);
  assert.equal(log.status, 200);
  assert.ok((await log.text()).trim().split("\n").length <= 5);
  assert.equal((await fetch(address.replace("token=", "token=x"))).status, 401);
});
await check("log_endpoint/structured", async () => {
  const { containers } = await client.getCvmContainersStats({ id: seed.id });
  const log = await fetch(containers[0].log_endpoint);
  for (const line of (await log.text()).trim().split("\n").filter(Boolean)) {
    const { channel, message } = JSON.parse(line);
    assert.equal(channel, "stdout");
    assert.equal(Buffer.from(message, "base64").toString("base64"), message);
  }
});
await check("another workspace sees nothing", async () => {
  for (const call of ["getCvmContainersStats", "getCvmStats", "getCvmNetwork"]) {
    assert.equal((await refused(stranger[call]({ id: seed.id }))).status, 404);
  }
  assert.equal((await refused(getCvmUserConfig(stranger, { id: seed.id }))).status, 404);
  assert.deepEqual(await getCvmStatusBatch(stranger, { vmUuids: [seed.vm_uuid] }), {});
  assert.equal((await getAppList(stranger)).total, 0);
  assert.equal((await http(`/cvms/${seed.id}/logs`, { headers: { "X-API-Key": cloud.second_api_key } })).status, 404);
  assert.equal((await fetch(`${cloud.api_url}/cvms/${seed.id}/logs`)).status, 401);
});
end();
