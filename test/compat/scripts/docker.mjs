// A web app on a Docker Engine, updated on chain through the official SDK. The app answers over HTTP, which no
// simulated container does.
import { assert, check, end, need } from "./checks.mjs";
import { approve, client, create, settled, succeeded } from "./clients.mjs";

const { LOCKSTEP_TEST_IMAGE: image, LOCKSTEP_TEST_PORT: port } = process.env;
const web = (version, of = image) => `services:
  web:
    image: ${of}
    command: [serve, "${version}"]
    ports: ["127.0.0.1:${port}:8080"]
    volumes: ["kept:/kept"]
    healthcheck: {test: [CMD, /app, check], interval: 200ms, retries: 25}
volumes: {kept: {}}
`;
const answer = async () => (await (await fetch(`http://127.0.0.1:${port}/`)).text()).split(" greeting")[0];

const app = await need("create the CVM", async () => create("ETHEREUM", web("one")));
const { id } = app.cvm;

// update is both phases of an update.
async function update(yaml) {
  const first = succeeded(await client.safeUpdateDockerCompose({ id, docker_compose_file: yaml }));
  assert.equal(first.status, "precondition_required");
  const { transactionHash } = await approve(app.cvm.app_id, first.compose_hash);
  const second = await client.updateDockerCompose({ id, docker_compose_file: yaml, compose_hash: first.compose_hash, transaction_hash: transactionHash });
  assert.equal(second.status, "in_progress");
  return first.compose_hash;
}

await check("the first version answers", async () => assert.equal(await answer(), "version one"));
await check("an update on chain: the new version answers", async () => {
  const hash = await update(web("two"));
  await settled(id, hash);
  assert.equal(await answer(), "version two");
});
await check("an image that cannot be pulled: the old version never stops answering", async () => {
  const before = await client.getCvmInfo({ id });
  const hash = await update(web("three", "lockstep.test/no-such-image:3"));
  assert.notEqual(hash, before.compose_hash);
  for (;;) {
    assert.equal(await answer(), "version two");
    const now = await client.getCvmInfo({ id });
    if (now.progress === null && now.status === "running") {
      assert.equal(now.compose_hash, before.compose_hash);
      break;
    }
  }
  assert.equal(await answer(), "version two");
});
await check("a version that crashes: the old version answers again", async () => {
  const before = await client.getCvmInfo({ id });
  await update(web("four").replace('[serve, "four"]', '[crash, "3"]'));
  await settled(id, before.compose_hash);
  assert.equal(await answer(), "version two");
});
await check("every answer about the CVM says that there is no TEE", async () => {
  assert.match(JSON.stringify(await client.getCvmInfo({ id })), /\(docker, no TEE\)/);
});
end();
