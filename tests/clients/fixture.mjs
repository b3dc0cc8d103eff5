// A server of both protocol eras on /mcp of 127.0.0.1, from the official SDKs: what stands behind the gate when
// conformance.py and repertoire.py ask whether the gate changes anything.
//
//     node fixture.mjs PORT
//
// The modern era is @modelcontextprotocol/server. The legacy era is @modelcontextprotocol/sdk, with sessions, streams
// that can be resumed, and tasks. On /lax is what no SDK would be: a handler that looks at no header at all. It runs
// beside the node_modules of its packages; what it serves is in content.mjs.

import { randomBytes, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { localhostHostValidation, localhostOriginValidation, toNodeHandler } from '@modelcontextprotocol/node';
import { InMemoryTaskMessageQueue, InMemoryTaskStore } from '@modelcontextprotocol/sdk/experimental/tasks/stores/in-memory.js';
import { Server } from '@modelcontextprotocol/sdk/server/index.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import * as legacy from '@modelcontextprotocol/sdk/types.js';
import * as modern from '@modelcontextprotocol/server';
import { PROMPTS, RESOURCES, resource, TEMPLATE, TOOLS } from './content.mjs';
import { EXTENSION, taskReply } from './tasks.mjs';

const INFO = { name: 'mcp-gate-fixture', version: '1.0.0' };
const CAPABILITIES = {
  completions: {},
  logging: {},
  prompts: { listChanged: true },
  resources: { subscribe: true, listChanged: true },
  tools: { listChanged: true },
};
const PAGE = 2;

const of = (table, era) => Object.entries(table).filter(([, entry]) => entry.eras?.includes(era) ?? true);
const schema = (tool) => tool.schema ?? { type: 'object', properties: {} };
const refuse = (message) => {
  throw new modern.ProtocolError(-32602, message);
};

// What both eras answer in the same way. Lists come in pages, so that cursors are used.
function common(era) {
  const paged = (member, all) => ({ cursor }) => {
    const start = Number(cursor ?? 0);
    const nextCursor = start + PAGE < all.length ? { nextCursor: String(start + PAGE) } : {};
    return { [member]: all.slice(start, start + PAGE), ...nextCursor };
  };
  const prompts = Object.fromEntries(of(PROMPTS, era));
  const listed = Object.entries(prompts).map(([name, prompt]) => ({
    name,
    description: prompt.description,
    arguments: (prompt.arguments ?? []).map((name) => ({ name, required: true })),
  }));
  const resources = Object.entries(RESOURCES).map(([uri, { mimeType }]) => ({ uri, name: uri.slice(7), mimeType }));
  return {
    'completion/complete': ({ argument }) => {
      const values = ['paris', 'park', 'party'].filter((value) => value.startsWith(argument.value));
      return { completion: { values, total: values.length, hasMore: false } };
    },
    'prompts/get': async ({ name, arguments: given }, context) => {
      const prompt = prompts[name] ?? refuse(`no prompt ${name}`);
      return { messages: await prompt.run(given ?? {}, context) };
    },
    'prompts/list': paged('prompts', listed),
    'resources/list': paged('resources', resources),
    'resources/templates/list': paged('resourceTemplates', [TEMPLATE]),
  };
}

// The modern era: a server for each request.

const state = modern.createRequestStateCodec({ key: randomBytes(32) });

class Asked extends Error {
  constructor(result) {
    super('input required');
    this.result = result;
  }
}

function modernContext({ mcpReq }) {
  // What was answered in earlier rounds comes back in the state, sealed; what is answered now comes with the request.
  const held = mcpReq.requestState();
  const answers = { ...held?.answers, ...mcpReq.inputResponses };
  const answered = {
    'elicitation/create': (key) => modern.acceptedContent(answers, key),
    'roots/list': (key) => Array.isArray(answers[key]?.roots),
    'sampling/createMessage': (key) => answers[key]?.content,
  };
  return {
    capabilities: mcpReq.envelope?.[modern.CLIENT_CAPABILITIES_META_KEY] ?? {},
    held: () => (held ? 'it came back' : 'it did not come back'),
    progressToken: mcpReq._meta?.progressToken,
    signal: mcpReq.signal,
    log: (level, data) => mcpReq.log(level, data),
    notify: (method, params) => mcpReq.notify({ method, params }),
    ask: async (requests) => {
      const open = Object.entries(requests).filter(([key, { method }]) => !answered[method](key));
      if (open.length === 0) return answers;
      const requestState = await state.mint({ answers, nonce: randomUUID() });
      throw new Asked(modern.inputRequired({ inputRequests: Object.fromEntries(open), requestState }));
    },
    changed: (what, uri) =>
      what === 'resource' ? handler.notify.resourceUpdated(uri) : handler.notify[`${what}Changed`](),
  };
}

const asking = async (run) => {
  try {
    return await run();
  } catch (error) {
    if (error instanceof Asked) return error.result;
    throw error;
  }
};

function modernServer() {
  const server = new modern.McpServer(INFO, {
    capabilities: { ...CAPABILITIES, extensions: { [EXTENSION]: {} } },
    requestState: { verify: state.verify },
  });
  for (const [name, tool] of of(TOOLS, 'modern')) {
    const inputSchema = modern.fromJsonSchema(schema(tool));
    server.registerTool(name, { description: tool.description, inputSchema }, (given, context) =>
      asking(async () => ({ content: await tool.run(given, modernContext(context)) })),
    );
  }
  const handlers = {
    ...common('modern'),
    'resources/read': ({ uri }) => {
      if (resource(uri)) return resource(uri);
      throw new modern.ResourceNotFoundError(uri);
    },
  };
  for (const [method, handle] of Object.entries(handlers)) {
    server.server.setRequestHandler(method, ({ params }, context) =>
      asking(() => handle(params ?? {}, modernContext(context))),
    );
  }
  return server;
}

const report = (error) => console.error(error.message);
const handler = modern.createMcpHandler(modernServer, { onerror: report });
const modernHandler = toNodeHandler(handler, { onerror: report });

// The legacy era: a server for each session.

const sessions = new Map();
const SCHEMAS = {
  'completion/complete': legacy.CompleteRequestSchema,
  'logging/setLevel': legacy.SetLevelRequestSchema,
  'prompts/get': legacy.GetPromptRequestSchema,
  'prompts/list': legacy.ListPromptsRequestSchema,
  'resources/list': legacy.ListResourcesRequestSchema,
  'resources/read': legacy.ReadResourceRequestSchema,
  'resources/subscribe': legacy.SubscribeRequestSchema,
  'resources/templates/list': legacy.ListResourceTemplatesRequestSchema,
  'resources/unsubscribe': legacy.UnsubscribeRequestSchema,
  'tools/call': legacy.CallToolRequestSchema,
  'tools/list': legacy.ListToolsRequestSchema,
};
const RESULTS = {
  'elicitation/create': legacy.ElicitResultSchema,
  'roots/list': legacy.ListRootsResultSchema,
  'sampling/createMessage': legacy.CreateMessageResultSchema,
};

class Events {
  #events = [];
  replayed = 0;
  async storeEvent(stream, message) {
    return `${stream}_${this.#events.push({ stream, message }) - 1}`;
  }
  async replayEventsAfter(last, { send }) {
    const [stream, index] = [last.slice(0, last.lastIndexOf('_')), Number(last.slice(last.lastIndexOf('_') + 1))];
    this.replayed += 1;
    for (const [at, event] of this.#events.entries()) {
      // What primes a stream is an event without a message.
      if (at > index && event.stream === stream && event.message?.jsonrpc) await send(`${stream}_${at}`, event.message);
    }
    return stream;
  }
}

function legacyContext(server, events, subscribed, extra) {
  const notify = (method, params) => extra.sendNotification({ method, params });
  return {
    capabilities: server.getClientCapabilities() ?? {},
    cut: () => extra.closeSSEStream?.(),
    held: () => 'nothing to hold in a session',
    progressToken: extra._meta?.progressToken,
    resumed: () => events.replayed,
    signal: extra.signal,
    log: (level, data) => notify('notifications/message', { level, data }),
    notify,
    ask: async (requests) => {
      const answers = {};
      for (const [key, request] of Object.entries(requests)) {
        answers[key] = await extra.sendRequest(request, RESULTS[request.method]);
      }
      return answers;
    },
    changed: async (what, uri) => {
      if (what === 'tools') await server.sendToolListChanged();
      else if (what === 'prompts') await server.sendPromptListChanged();
      else if (subscribed.has(uri)) await server.sendResourceUpdated({ uri });
    },
  };
}

function legacyServer(events) {
  const tasks = { list: {}, cancel: {}, requests: { tools: { call: {} } } };
  const server = new Server(INFO, {
    capabilities: { ...CAPABILITIES, tasks },
    taskStore: new InMemoryTaskStore(),
    taskMessageQueue: new InMemoryTaskMessageQueue(),
  });
  const subscribed = new Set();
  const tools = Object.fromEntries(of(TOOLS, 'legacy'));
  const listed = Object.entries(tools).map(([name, tool]) => {
    const execution = tool.task ? { execution: { taskSupport: tool.task } } : {};
    return { name, description: tool.description, inputSchema: schema(tool), ...execution };
  });
  const call = async (tool, given, context) => {
    try {
      return { content: await tool.run(given ?? {}, context) };
    } catch (error) {
      return { content: [{ type: 'text', text: error.message }], isError: true };
    }
  };
  const handlers = {
    ...common('legacy'),
    'logging/setLevel': () => ({}),
    'resources/read': ({ uri }) => {
      if (resource(uri)) return resource(uri);
      throw new legacy.McpError(-32002, `no resource ${uri}`, { uri });
    },
    'resources/subscribe': ({ uri }) => (subscribed.add(uri), {}),
    'resources/unsubscribe': ({ uri }) => (subscribed.delete(uri), {}),
    'tools/call': async ({ name, arguments: given, task: wanted }, context, { taskStore }) => {
      const tool = tools[name] ?? refuse(`no tool ${name}`);
      if (!wanted) return call(tool, given, context);
      const task = await taskStore.createTask({ ttl: wanted.ttl ?? 60_000, pollInterval: 50 });
      call(tool, given, context).then((result) => taskStore.storeTaskResult(task.taskId, 'completed', result), report);
      return { task };
    },
    'tools/list': () => ({ tools: listed }),
  };
  for (const [method, handle] of Object.entries(handlers)) {
    server.setRequestHandler(SCHEMAS[method], ({ params }, extra) =>
      handle(params ?? {}, legacyContext(server, events, subscribed, extra), extra),
    );
  }
  return server;
}

async function legacyHandler(request, response, body) {
  const id = request.headers['mcp-session-id'];
  if (id && !sessions.has(id)) return refuseHttp(response, 404, -32001, 'no such session');
  if (id) return sessions.get(id).handleRequest(request, response, body);
  if (body?.method !== 'initialize') return refuseHttp(response, 400, -32000, 'no session');
  const events = new Events();
  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    eventStore: events,
    retryInterval: 200,
    onsessioninitialized: (id) => sessions.set(id, transport),
    onsessionclosed: (id) => sessions.delete(id),
  });
  await legacyServer(events).connect(transport);
  return transport.handleRequest(request, response, body);
}

// HTTP.

function answer(response, status, body) {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function refuseHttp(response, status, code, message) {
  answer(response, status, { jsonrpc: '2.0', id: null, error: { code, message } });
}

function lax(response, body) {
  const tools = [{ name: 'test_x_mcp_header', inputSchema: TOOLS.test_x_mcp_header.schema }];
  const result = body?.method === 'tools/list' ? { tools, ttlMs: 0, cacheScope: 'private' } : { content: [] };
  answer(response, 200, { jsonrpc: '2.0', id: body?.id ?? null, result: { resultType: 'complete', ...result } });
}

async function serve(request, response) {
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  let body;
  try {
    body = chunks.length ? JSON.parse(Buffer.concat(chunks).toString()) : undefined;
  } catch {
    return refuseHttp(response, 400, -32700, 'no JSON');
  }
  if (request.url === '/lax') return lax(response, body);
  if (request.url !== '/mcp') return refuseHttp(response, 404, -32600, 'no such path');
  if (!hosts(request, response) || !origins(request, response)) return;
  const { kind } = modern.classifyInboundRequest({
    httpMethod: request.method,
    protocolVersionHeader: request.headers['mcp-protocol-version'],
    mcpMethodHeader: request.headers['mcp-method'],
    body,
  });
  if (kind === 'legacy') return legacyHandler(request, response, body);
  const reply = kind === 'modern' && taskReply(request.headers, body);
  return reply ? answer(response, reply.status, reply.body) : modernHandler(request, response, body);
}

const hosts = localhostHostValidation();
const origins = localhostOriginValidation();
const server = createServer((request, response) => {
  serve(request, response).catch((error) => {
    report(error);
    if (!response.headersSent) refuseHttp(response, 500, -32603, 'failed');
  });
});
// Envoy keeps its connections; one that is closed here just as it is used there would be a difference that is none.
server.keepAliveTimeout = 600_000;
server.listen(Number(process.argv[2]), '127.0.0.1');
