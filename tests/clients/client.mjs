// The repertoire of the official TypeScript clients: one line of JSON with what each step gave its user.
//
//     TOKEN=... node client.mjs URL auto|legacy|v1
//
// `v1` is @modelcontextprotocol/sdk, the others are modes of @modelcontextprotocol/client. repertoire.py compares.

import { readFileSync } from 'node:fs';

const [url, mode] = process.argv.slice(2);
const v1 = mode === 'v1';
const name = v1 ? '@modelcontextprotocol/sdk' : '@modelcontextprotocol/client';
const sdk = v1
  ? {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      ...(await import('@modelcontextprotocol/sdk/types.js')),
    }
  : await import('@modelcontextprotocol/client');

const client = new sdk.Client(
  { name: 'mcp-gate-tests', version: '1.0.0' },
  {
    capabilities: { elicitation: { form: {} }, roots: { listChanged: true }, sampling: {} },
    ...(v1 ? {} : { versionNegotiation: { mode } }),
  },
);
const transport = new sdk.StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: `Bearer ${process.env.TOKEN}` } },
});

// v1 names methods by their schemas.
const on = (set, method, schema, handle) => client[set](v1 ? sdk[schema] : method, ({ params }) => handle(params));
const filled = ({ type }) => ({ boolean: true, string: 'Ada' })[type];
on('setRequestHandler', 'elicitation/create', 'ElicitRequestSchema', ({ requestedSchema: { properties } }) => {
  const fields = Object.entries(properties).map(([key, field]) => [key, field.default ?? filled(field)]);
  return { action: 'accept', content: Object.fromEntries(fields) };
});
on('setRequestHandler', 'sampling/createMessage', 'CreateMessageRequestSchema', () => ({
  role: 'assistant',
  model: 'none',
  content: { type: 'text', text: 'forty-two' },
}));
on('setRequestHandler', 'roots/list', 'ListRootsRequestSchema', () => ({
  roots: [{ uri: 'file:///tmp/project', name: 'project' }],
}));
const logged = [];
const changes = [];
on('setNotificationHandler', 'notifications/message', 'LoggingMessageNotificationSchema', (it) => logged.push(it));
on('setNotificationHandler', 'notifications/resources/updated', 'ResourceUpdatedNotificationSchema', ({ uri }) =>
  changes.push(uri),
);
on('setNotificationHandler', 'notifications/tools/list_changed', 'ToolListChangedNotificationSchema', () =>
  changes.push('tools'),
);

const steps = {};
const step = async (name, run) => {
  try {
    steps[name] = (await run()) ?? null;
  } catch (error) {
    steps[name] = { error: { class: error.constructor.name, code: error.code, message: error.message } };
  }
};
const call = (name, given = {}, options = undefined, meta = undefined) => {
  const params = { name, arguments: given, ...(meta ? { _meta: meta } : {}) };
  return v1 ? client.callTool(params, undefined, options) : client.callTool(params, options);
};
const text = async (...given) => (await call(...given)).content[0].text;
const every = async (list, member) => {
  const all = [];
  for (let cursor; ; ) {
    const page = await client[list](cursor ? { cursor } : {});
    all.push(...page[member]);
    if (!(cursor = page.nextCursor)) return all;
  }
};
// What comes by another stream is asked for until that stream is there.
const until = async (what, poke) => {
  for (let tries = 0; tries < 50 && !changes.includes(what); tries++) {
    await poke();
    await new Promise((done) => setTimeout(done, 100));
  }
  return changes.includes(what);
};

let version;
const set = transport.setProtocolVersion;
transport.setProtocolVersion = (value) => set.call(transport, (version = value));
await client.connect(transport);
version = client.getNegotiatedProtocolVersion?.() ?? version;
const modern = version >= '2026';

await step('server', () => ({ info: client.getServerVersion(), can: client.getServerCapabilities() }));
await step('list tools', () => every('listTools', 'tools'));
await step('list prompts', () => every('listPrompts', 'prompts'));
await step('list resources', () => every('listResources', 'resources'));
await step('list templates', () => every('listResourceTemplates', 'resourceTemplates'));
for (const tool of ['simple_text', 'image_content', 'audio_content', 'embedded_resource', 'multiple_content_types']) {
  await step(`call ${tool}`, () => call(`test_${tool}`));
}
await step('call a tool that fails', () => call('test_error_handling'));
await step('refused: call no tool', () => call('no_such_tool'));
for (const region of ['eu-west-1', ' a b ', 'Zürich ☃', '=?base64?eA==?=', '']) {
  await step(`call with the region ${JSON.stringify(region)}`, () => call('test_x_mcp_header', { region, level: 1 }));
}
for (const uri of ['static-text', 'static-binary', 'template/ü 1/data']) {
  await step(`read ${uri}`, () => client.readResource({ uri: `test://${uri}` }));
}
await step('refused: read nothing', () => client.readResource({ uri: 'test://nothing' }));
await step('prompt', () => client.getPrompt({ name: 'test_simple_prompt' }));
await step('prompt with arguments', () =>
  client.getPrompt({ name: 'test_prompt_with_arguments', arguments: { arg1: 'ä', arg2: '{"b":[1e3]}' } }),
);
const argument = { name: 'arg1', value: 'par' };
await step('complete', () =>
  client.complete({ ref: { type: 'ref/prompt', name: 'test_prompt_with_arguments' }, argument }),
);
await step('complete a uri', () =>
  client.complete({ ref: { type: 'ref/resource', uri: 'test://template/{id}/data' }, argument }),
);
await step('progress', async () => {
  const seen = [];
  const result = await call('test_tool_with_progress', {}, { onprogress: (it) => seen.push(it) });
  return { seen, result };
});
if (!modern) await step('set the level', () => client.setLoggingLevel('debug'));
await step('log', async () => {
  const level = modern ? { 'io.modelcontextprotocol/logLevel': 'debug' } : undefined;
  return { result: await call('test_tool_with_logging', {}, undefined, level), logged };
});
await step('cancel', async () => {
  const key = `${mode}-${process.pid}`;
  const leave = new AbortController();
  const left = call('slow', { key }, { signal: leave.signal }).then(
    () => 'answered',
    () => 'gone',
  );
  const begun = await text('has_begun', { key });
  leave.abort();
  return { begun, left: await left, cancelled: await text('was_cancelled', { key }) };
});
await step('elicit', () => call('test_elicitation', { message: 'Who is there?' }));
await step('sample', () => call('test_sampling', { prompt: 'What is the answer?' }));
await step('roots', () => call('test_input_required_result_list_roots'));
await step('elicit twice', () => call('test_input_required_result_multi_round'));
await step('ask three things at once', () => call('test_input_required_result_multiple_inputs'));
await step('bring a state back', () => call('test_input_required_result_request_state'));
if (modern) await step('prompt that asks', () => client.getPrompt({ name: 'test_input_required_result_prompt' }));
const uri = 'test://watched-resource';
await step('subscribe', async () => {
  const listening = modern
    ? await client.listen({ resourceSubscriptions: [uri], toolsListChanged: true })
    : await client.subscribeResource({ uri });
  const heard = [
    await until(uri, () => call('touch', { uri })),
    await until('tools', () => call('test_trigger_tool_change')),
  ];
  if (modern) await listening.close();
  else await client.unsubscribeResource({ uri });
  return { heard, honored: listening.honoredFilter };
});
if (!modern) {
  await step('ping', () => client.ping());
  await step('roots have changed', () => client.sendRootsListChanged());
  await step('resume', async () => ({ result: await call('test_reconnection'), resumed: await text('resumed') }));
}
if (v1) {
  const tasks = client.experimental.tasks;
  let task;
  await step('task', async () => {
    const seen = [];
    const stream = tasks.callToolStream({ name: 'work', arguments: { on: 'it' } }, undefined, { task: {} });
    for await (const message of stream) {
      task ??= message.task;
      if (seen.at(-1)?.task?.status !== message.task?.status || !message.task) seen.push(message);
    }
    return seen;
  });
  await step('get a task', () => tasks.getTask(task.taskId));
  await step('result of a task', () => tasks.getTaskResult(task.taskId, sdk.CallToolResultSchema));
  await step('list tasks', () => tasks.listTasks());
  await step('refused: cancel a task that is over', () => tasks.cancelTask(task.taskId));
}
if (!modern) {
  await step('end the session', async () => (await transport.terminateSession()) ?? 'ended');
}
await client.close();
const packaged = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
console.log(JSON.stringify({ client: `${name} ${packaged.version}`, version, steps }));
process.exit(0);
