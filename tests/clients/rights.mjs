// What one user gets of a server by the official TypeScript clients: one line of JSON.
//
//     TOKEN=... node rights.mjs URL auto|legacy|v1 <STEPS
//
// `v1` is @modelcontextprotocol/sdk, the others are modes of @modelcontextprotocol/client. STEPS is JSON, a list of
// [name, kind, what, arguments]. The four lists are asked for before them and after. rights.py says what to expect.

import { readFileSync } from 'node:fs';

const [url, mode] = process.argv.slice(2);
const v1 = mode === 'v1';
const sdk = v1
  ? {
      ...(await import('@modelcontextprotocol/sdk/client/index.js')),
      ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      ...(await import('@modelcontextprotocol/sdk/types.js')),
    }
  : await import('@modelcontextprotocol/client');

const capabilities = { elicitation: { form: {}, url: {} }, roots: {}, sampling: {} };
const client = new sdk.Client(
  { name: 'mcp-gate-tests', version: '1.0.0' },
  { capabilities, ...(v1 ? {} : { versionNegotiation: { mode } }) },
);
const transport = new sdk.StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: `Bearer ${process.env.TOKEN}` } },
});
// v1 names methods by their schemas.
const answer = (method, schema, result) => client.setRequestHandler(v1 ? sdk[schema] : method, () => result);
answer('elicitation/create', 'ElicitRequestSchema', { action: 'decline' });
answer('sampling/createMessage', 'CreateMessageRequestSchema', {
  role: 'assistant',
  model: 'none',
  content: { type: 'text', text: 'forty-two' },
});
answer('roots/list', 'ListRootsRequestSchema', { roots: [{ uri: 'file:///tmp/project', name: 'project' }] });

const LISTS = [
  ['listTools', 'tools', 'name'],
  ['listPrompts', 'prompts', 'name'],
  ['listResources', 'resources', 'uri'],
  ['listResourceTemplates', 'resourceTemplates', 'uriTemplate'],
];
const lists = async () => {
  const found = {};
  for (const [list, member, key] of LISTS) {
    found[member] = [];
    for (let cursor; ; ) {
      const page = await client[list](cursor ? { cursor } : {});
      found[member].push(...page[member].map((entry) => entry[key]));
      if (!(cursor = page.nextCursor)) break;
    }
    found[member].sort();
  }
  return found;
};
const task = async (name, given) => {
  const seen = [];
  const params = { name, arguments: given };
  for await (const message of client.experimental.tasks.callToolStream(params, undefined, { task: {} })) {
    if (message.type === 'error') throw message.error;
    seen.push(message.task?.status ?? message);
  }
  return seen;
};
const kinds = {
  tool: (name, given) => client.callTool({ name, arguments: given }),
  task,
  prompt: (name, given) => client.getPrompt({ name, arguments: given }),
  read: (uri) => client.readResource({ uri }),
  'complete-prompt': (name, argument) => client.complete({ ref: { type: 'ref/prompt', name }, argument }),
  'complete-resource': (uri, argument) => client.complete({ ref: { type: 'ref/resource', uri }, argument }),
  subscribe: async (uri) => [await client.subscribeResource({ uri }), await client.unsubscribeResource({ uri })],
  level: (level) => client.setLoggingLevel(level),
  ping: () => client.ping(),
};

let version;
const set = transport.setProtocolVersion;
transport.setProtocolVersion = (value) => set.call(transport, (version = value));
await client.connect(transport);
version = client.getNegotiatedProtocolVersion?.() ?? version;

const before = await lists();
const steps = {};
for (const [name, kind, what, given] of JSON.parse(readFileSync(0))) {
  try {
    steps[name] = await kinds[kind](what, given);
  } catch (error) {
    // The body of a denial is in the error's data or in its message, depending on the client.
    const code = /"code":"([a-z_]+)"/.exec(error.data?.text ?? error.message);
    steps[name] = { error: error.message, denied: code?.[1] };
  }
}
const found = { version, before, steps, after: await lists() };
if (version < '2026') await transport.terminateSession();
await client.close();
console.log(JSON.stringify(found));
process.exit(0);
