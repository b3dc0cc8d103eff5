// The official TypeScript clients with OAuth, which are told the MCP URL and nothing else: one line of JSON about what
// their user gets, and about each HTTP exchange on the way.
//
//     node flow.mjs URL USER auto|legacy|v1|2025-03-26 [--document ID] [--pause SECONDS] [--only-read] [--online] [--dpop]
//
// It reads a document, waits, changes it, which takes another scope, unless --only-read, and reads it again. With
// --online it asks for no refresh token. With --dpop the tokens are bound to a key of the client, and the script then
// tries to use one without the key, and a proof twice. `v1` is @modelcontextprotocol/sdk, `2025-03-26` the first of it
// that speaks that revision; the others are modes of @modelcontextprotocol/client.
// flows.py says what to expect, and does the same with the Python client.

import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';

const { positionals, values: options } = parseArgs({
  allowPositionals: true,
  options: {
    document: { type: 'string', default: 'q3-report' },
    pause: { type: 'string', default: '0' },
    'only-read': { type: 'boolean', default: false },
    online: { type: 'boolean', default: false },
    dpop: { type: 'boolean', default: false },
  },
});
const [url, user, mode] = positionals;
const OLD = { v1: '@modelcontextprotocol/sdk', '2025-03-26': 'sdk-2025-03-26' };
const v1 = mode in OLD;
const name = v1 ? OLD[mode] : '@modelcontextprotocol/client';
const { Client, StreamableHTTPClientTransport, UnauthorizedError, DpopSession } = v1
  ? {
      ...(await import(`${name}/client/auth.js`)),
      ...(await import(`${name}/client/index.js`)),
      ...(await import(`${name}/client/streamableHttp.js`)),
    }
  : await import(name);
console.warn = () => {}; // about a refresh that failed, which the steps show

// Nobody listens there: the browser stops at the address instead of opening it.
const REDIRECT = 'http://127.0.0.1:9/callback';
const ASKED = ['grant_type', 'scope', 'resource', 'code_challenge_method'];
const TOLD = ['issuer', 'authorization_servers', 'client_id', 'token_type', 'scope', 'error'];
const members = (names, found) =>
  Object.fromEntries(names.filter((name) => found?.[name] !== undefined).map((name) => [name, found[name]]));

const steps = [];
const send = globalThis.fetch;
let last;
const noting = (by) => async (input, init) => {
  const request = new Request(input, init);
  const sent = request.body ? await request.clone().text() : '';
  if (request.headers.has('dpop')) last = request.clone();
  const response = await send(request);
  const json = request.headers.get('content-type') === 'application/json';
  const message = json && sent ? JSON.parse(sent) : {};
  const query = new URL(request.url).searchParams;
  const form = json ? message : Object.fromEntries([...query, ...new URLSearchParams(sent)]);
  const [path] = request.url.split('?');
  // The MCP server's own answers may be streams.
  const readable = path !== url && response.headers.get('content-type')?.includes('json');
  steps.push({
    by,
    method: request.method,
    url: path,
    status: response.status,
    asked: message.method ? { method: message.method, ...members(['name'], message.params) } : members(ASKED, form),
    told: readable ? members(TOLD, await response.clone().json()) : {},
    challenge: response.headers.get('www-authenticate'),
    location: response.headers.get('location')?.split('?')[0] ?? null,
    scheme: request.headers.get('authorization')?.split(' ')[0] ?? null,
  });
  return response;
};

// The first client takes no other fetch.
if (mode === '2025-03-26') globalThis.fetch = noting('client');

// A browser: follows redirects, keeps cookies, and stops where the client listens.
const cookies = new Map();
async function browse(start) {
  const open = noting(user);
  for (let next = new URL(start); ; ) {
    if (next.href.startsWith(REDIRECT)) return next.searchParams;
    const cookie = [...cookies.values()].filter(({ path }) => next.pathname.startsWith(path)).map(({ pair }) => pair);
    const headers = { 'x-user': user, cookie: cookie.join('; ') };
    const response = await open(next, { headers, redirect: 'manual' });
    for (const line of response.headers.getSetCookie()) {
      const [pair, ...attributes] = line.split(/; */);
      const path = attributes.find((it) => it.startsWith('path='))?.slice(5) ?? '/';
      cookies.set(`${pair.split('=')[0]} ${path}`, { pair, path });
    }
    const location = response.headers.get('location');
    if (!location) throw new Error(`${next.origin}${next.pathname}: ${response.status} ${await response.text()}`);
    next = new URL(location, next);
  }
}

const kept = {};
let arrived;
const session = options.dpop ? await DpopSession.create() : undefined;
const authProvider = {
  redirectUrl: REDIRECT,
  clientMetadata: {
    client_name: 'mcp-gate-tests',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', ...(options.online ? [] : ['refresh_token'])],
    token_endpoint_auth_method: 'none',
    application_type: 'native',
  },
  state: () => (kept.state = randomUUID()),
  clientInformation: () => kept.client,
  saveClientInformation: (client) => void (kept.client = client),
  tokens: () => kept.tokens,
  saveTokens: (tokens) => void (kept.tokens = tokens),
  codeVerifier: () => kept.verifier,
  saveCodeVerifier: (verifier) => void (kept.verifier = verifier),
  discoveryState: () => kept.discovery,
  saveDiscoveryState: (state) => void (kept.discovery = state),
  invalidateCredentials: (what) => void (what === 'tokens' && delete kept.tokens),
  redirectToAuthorization: async (to) => void (arrived = await browse(to)),
  ...(session ? { dpop: () => session } : {}),
};

let client;
let transport;
let version;
// What an application does: when the user has come back, the code is handed over and the same is done once more.
const authorized = async (run) => {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof UnauthorizedError) || !arrived) throw error;
    const back = arrived;
    arrived = undefined;
    if ((back.get('state') ?? undefined) !== kept.state) throw new Error('a foreign state came back');
    if (back.has('error')) throw new Error(`the authorization server refused: ${back}`);
    await transport.finishAuth(v1 ? back.get('code') : back);
    return run();
  }
};
const connect = async () => {
  transport = new StreamableHTTPClientTransport(new URL(url), { authProvider, fetch: noting('client') });
  client = new Client(
    { name: 'mcp-gate-tests', version: '1.0.0' },
    v1 ? {} : { versionNegotiation: { mode } },
  );
  client.request = ((request) => async (asked, ...more) => {
    const result = await request.call(client, asked, ...more);
    if (asked.method === 'initialize') version = result.protocolVersion;
    return result;
  })(client.request);
  await client.connect(transport);
};
const call = async (tool, given) => {
  try {
    const result = await authorized(() => client.callTool({ name: tool, arguments: given }));
    return result.content[0].text;
  } catch (error) {
    return { error: error.constructor.name, status: error.status ?? error.data?.status ?? error.code };
  }
};

const document = options.document;
await authorized(connect);
const found = { read: await call('read_document', { id: document }) };
await new Promise((done) => setTimeout(done, 1000 * Number(options.pause)));
if (!options['only-read']) found.edit = await call('edit_document', { id: document, text: `changed by ${mode}` });
found.after = await call('read_document', { id: document });
if (session) {
  const stolen = await fetch(url, {
    method: 'POST',
    headers: {
      accept: 'application/json, text/event-stream',
      authorization: `Bearer ${kept.tokens.access_token}`,
      'content-type': 'application/json',
    },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  });
  found.stolen = stolen.status;
  found.replayed = (await fetch(last)).status;
}
version = client.getNegotiatedProtocolVersion?.() ?? version;
if (version < '2026') await transport.terminateSession();
await client.close();
const packaged = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
console.log(JSON.stringify({ client: `${packaged.name} ${packaged.version}`, version, ...found, steps }));
process.exit(0);
