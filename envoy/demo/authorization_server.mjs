// The demo's authorization server: oidc-provider, a certified OpenID provider, on 127.0.0.1. Clients find it by the
// resource metadata that the gate serves, register themselves, and get tokens for one resource each.
//
//     node authorization_server.mjs --port PORT --users JSON --resource URL=FORMAT[,SECONDS]... [--log FILE]
//
// FORMAT is ES256 or RS256, for a JWT of RFC 9068 signed so, or `opaque`, for a token that only /introspect can read;
// who may ask there is `mcp-gate`, with the secret in MCP_GATE_INTROSPECTION_SECRET. SECONDS is how long a token lives
// (600). A client that names no resource gets the first, and one that names no scope gets each. A user of --users has
// a scope and the claims that the user's tokens carry. Each HTTP request becomes one line of JSON in --log. It runs
// beside the node_modules of its packages.
//
// Nobody types a password: who logs in is named by the header x-user, by login_hint, or on a page to click on, and
// consents to every scope that the user has. Keys change when they are told to:
//
//     POST /keys/publish    a new key of each kind stands first in the key set, and signs nothing yet
//     POST /keys/sign       the newest keys sign
//     POST /keys/retire     the key set holds no others

import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import Provider, { errors } from 'oidc-provider';
import { createMemoryAdapter } from 'oidc-provider/lib/adapters/memory_adapter.js';

const { values: options } = parseArgs({
  options: {
    port: { type: 'string' },
    users: { type: 'string' },
    resource: { type: 'string', multiple: true },
    log: { type: 'string' },
  },
});
const ISSUER = `http://127.0.0.1:${options.port}`;
const USERS = JSON.parse(options.users);
const RESOURCES = Object.fromEntries(
  options.resource.map((given) => {
    const [url, how] = given.split('=');
    const [format, seconds = '600'] = how.split(',');
    return [url, { format, seconds: Number(seconds) }];
  }),
);
const SCOPES = ['mcp:read', 'mcp:write'];
const DAY = 24 * 3600;

// Keys

const made = []; // newest first
let published = 0;
let signing = 0;

function makeKeys() {
  const kinds = { ES256: ['ec', { namedCurve: 'P-256' }], RS256: ['rsa', { modulusLength: 2048 }] };
  published += 1;
  for (const [alg, [type, how]] of Object.entries(kinds)) {
    const jwk = generateKeyPairSync(type, how).privateKey.export({ format: 'jwk' });
    made.unshift({ ...jwk, alg, use: 'sig', kid: `${alg.toLowerCase()}-${published}`, age: published });
  }
}

const COMMANDS = {
  publish: makeKeys,
  sign: () => (signing = published),
  retire: () => made.splice(0, made.length, ...made.filter(({ age }) => age === signing)),
};

// The server. What it remembers outlives it, as a database would: other keys are a restart.

const kept = {
  adapter: createMemoryAdapter(),
  cookies: randomBytes(32).toString('base64url'),
  nonces: randomBytes(32),
};
const allowed = (user, scopes = []) => {
  const granted = USERS[user].scope.split(' ');
  return [
    scopes.filter((scope) => granted.includes(scope) || !SCOPES.includes(scope)).join(' '),
    scopes.filter((scope) => !granted.includes(scope) && SCOPES.includes(scope)).join(' '),
  ];
};
let provider;
let handle;

function configuration() {
  return {
    adapter: kept.adapter,
    jwks: { keys: made.map(({ age, ...jwk }) => jwk) },
    scopes: ['openid', 'offline_access', ...SCOPES],
    clients: [
      {
        client_id: 'mcp-gate',
        client_secret: process.env.MCP_GATE_INTROSPECTION_SECRET || randomBytes(32).toString('base64url'),
        grant_types: [],
        redirect_uris: [],
        response_types: [],
      },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    // A client registers with the scope that it needs first, and would never get another.
    extraClientMetadata: { properties: ['x'], validator: (_, __, ___, metadata) => void delete metadata.scope },
    cookies: { keys: [kept.cookies] },
    features: {
      devInteractions: { enabled: false },
      dPoP: { enabled: true, nonceSecret: kept.nonces, requireNonce: () => true },
      introspection: { enabled: true, allowedPolicy: (_, client) => client.clientId === 'mcp-gate' },
      registration: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: (_, __, oneOf) => oneOf ?? Object.keys(RESOURCES)[0],
        getResourceServerInfo(_, url) {
          if (!RESOURCES[url]) throw new errors.InvalidTarget(`no such resource; there are: ${Object.keys(RESOURCES)}`);
          const { format, seconds } = RESOURCES[url];
          const sign = { alg: format, kid: `${format.toLowerCase()}-${signing}` };
          return {
            scope: SCOPES.join(' '),
            audience: url,
            accessTokenTTL: seconds,
            ...(format === 'opaque' ? { accessTokenFormat: 'opaque' } : { accessTokenFormat: 'jwt', jwt: { sign } }),
          };
        },
      },
      revocation: { enabled: true, allowedPolicy: () => true },
    },
    pkce: { required: () => true },
    responseTypes: ['code'],
    issueRefreshToken: (_, client) => client.grantTypeAllowed('refresh_token'),
    findAccount: (_, id) => USERS[id] && { accountId: id, claims: () => ({ sub: id }) },
    extraTokenClaims: (_, { accountId }) => {
      const { sub, scope, ...claims } = USERS[accountId] ?? {};
      return claims;
    },
    interactions: { url: (_, { uid }) => `/interaction/${uid}` },
    routes: { introspection: '/introspect', registration: '/register' },
    ttl: {
      AccessToken: (_, token) => token.resourceServer?.accessTokenTTL ?? 600,
      Grant: DAY,
      IdToken: 600,
      Interaction: 600,
      RefreshToken: DAY,
      Session: DAY,
    },
    renderError: (ctx, out) => void (ctx.body = out),
  };
}

function restart() {
  provider = new Provider(ISSUER, configuration());
  provider.use(log);
  provider.use(unasked);
  provider.use(keys);
  provider.use(interact);
  handle = provider.callback();
}

async function log(ctx, next) {
  await next();
  if (!options.log) return;
  const asked = ctx.oidc?.params ?? {};
  const names = ['grant_type', 'client_id', 'scope', 'resource', 'code_challenge_method'];
  const line = {
    method: ctx.method,
    path: ctx.path,
    status: ctx.status,
    ...Object.fromEntries(names.filter((name) => asked[name]).map((name) => [name, asked[name]])),
    ...(ctx.body?.error ? { error: ctx.body.error } : {}),
  };
  appendFileSync(options.log, `${JSON.stringify(line)}\n`);
}

// Clients of MCP 2025-03-26 name no scope, and the server then has a default (RFC 6749, section 3.3).
async function unasked(ctx, next) {
  if (ctx.path === '/auth' && !ctx.query.scope) ctx.query = { ...ctx.query, scope: SCOPES.join(' ') };
  await next();
}

async function keys(ctx, next) {
  const command = ctx.method === 'POST' && COMMANDS[ctx.path.replace('/keys/', '')];
  if (!command) return next();
  command();
  restart();
  ctx.body = { published: made.map(({ kid }) => kid), signing };
}

async function interact(ctx, next) {
  if (!ctx.path.startsWith('/interaction/')) return next();
  const { prompt, params, session, grantId } = await provider.interactionDetails(ctx.req, ctx.res);
  let result;
  if (prompt.name === 'login') {
    const user = ctx.get('x-user') || params.login_hint || ctx.query.user;
    if (!Object.hasOwn(USERS, user)) {
      const buttons = Object.keys(USERS).map((name) => `<button name="user" value="${name}">${name}</button>`);
      ctx.body = `<!doctype html><title>Demo</title><h1>Who are you?</h1><form>${buttons.join('\n')}</form>`;
      return;
    }
    result = { login: { accountId: user } };
  } else {
    const grant = grantId
      ? await provider.Grant.find(grantId)
      : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
    const { missingOIDCScope, missingResourceScopes = {} } = prompt.details;
    const [yes, no] = allowed(session.accountId, missingOIDCScope);
    if (yes) grant.addOIDCScope(yes);
    if (no) grant.rejectOIDCScope(no);
    for (const [url, scopes] of Object.entries(missingResourceScopes)) {
      const [yes, no] = allowed(session.accountId, scopes);
      if (yes) grant.addResourceScope(url, yes);
      if (no) grant.rejectResourceScope(url, no);
    }
    result = { consent: { grantId: await grant.save() } };
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, result));
}

makeKeys();
COMMANDS.sign();
restart();
createServer((request, response) => handle(request, response)).listen(Number(options.port), '127.0.0.1', () =>
  console.log(`ready: ${ISSUER}`),
);
