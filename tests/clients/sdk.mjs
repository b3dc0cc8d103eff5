// The official TypeScript clients through the gate: one line of JSON about what their user gets.
//
//     TOKEN=... node sdk.mjs URL auto|legacy|v1
//
// `v1` is @modelcontextprotocol/sdk, the others are modes of @modelcontextprotocol/client. It runs beside the
// node_modules of its packages; run.py says what to expect.

import { readFileSync } from 'node:fs';

const [url, mode] = process.argv.slice(2);
const name = mode === 'v1' ? '@modelcontextprotocol/sdk' : '@modelcontextprotocol/client';
const { Client, StreamableHTTPClientTransport } =
  mode === 'v1'
    ? {
        ...(await import('@modelcontextprotocol/sdk/client/index.js')),
        ...(await import('@modelcontextprotocol/sdk/client/streamableHttp.js')),
      }
    : await import('@modelcontextprotocol/client');

const options = mode === 'v1' ? {} : { versionNegotiation: { mode } };
const client = new Client({ name: 'mcp-gate-tests', version: '1.0.0' }, options);
const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: `Bearer ${process.env.TOKEN}` } },
});
const read = async () =>
  (await client.callTool({ name: 'read_document', arguments: { id: 'handbook' } })).content[0].text;

let version;
transport.setProtocolVersion = ((set) => (value) => set.call(transport, (version = value)))(transport.setProtocolVersion);
await client.connect(transport);
const packaged = JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, import.meta.url)));
const found = { client: `${name} ${packaged.version}` };
found.version = client.getNegotiatedProtocolVersion?.() ?? version;
found.tools = (await client.listTools()).tools.map((tool) => tool.name).sort();
found.read = await read();
found.resource = (await client.readResource({ uri: 'doc://handbook' })).contents[0].text;
found.prompt = (await client.getPrompt({ name: 'summarize_document', arguments: { id: 'handbook' } })).messages[0].content.text;
try {
  found.denied = { result: await client.callTool({ name: 'read_payroll', arguments: { employee: 'carol' } }) };
} catch (error) {
  const { constructor, status, code, message, data } = error;
  found.denied = { error: { class: constructor.name, status, code, message, data } };
}
found.after = await read();
if (found.version < '2026') await transport.terminateSession();
await client.close();
console.log(JSON.stringify(found));
