// Judges of the differential test: JSON.parse, on what Request.text() makes of the bytes, and the official SDKs' own
// reading of that, v1 and v2.
// judge.py says what the frames are, reading.rs what a reading is.
import { readFileSync, readSync, writeSync } from "node:fs";
import { createRequire } from "node:module";

const clients = createRequire(new URL("../../../target/clients/package.json", import.meta.url));
const { JSONRPCMessageSchema } = clients("@modelcontextprotocol/sdk/types.js");
const { parseJSONRPCMessage } = clients("@modelcontextprotocol/client");
const { dependencies } = JSON.parse(readFileSync(clients.resolve("./package.json")));

const decoder = new TextDecoder("utf-8"); // takes a byte order mark away and repairs the rest, as Request.text() does
const double = Buffer.alloc(8);
const PATHS = [
  ["", "method"],
  ["", "id"],
  ["", "params", "name"],
  ["", "params", "uri"],
  ["", "params", "taskId"],
  ["", "params", "arguments"],
  ["", "params", "_meta"],
  ["", "params", "cursor"],
  ["", "params", "requestState"],
  ["", "params", "inputResponses"],
  ["", "params", "task"],
  ["", "params", "_meta", "io.modelcontextprotocol/protocolVersion"],
  ["", "params", "_meta", "io.modelcontextprotocol/clientCapabilities"],
  ["completion/complete", "params", "ref", "type"],
  ["completion/complete", "params", "ref", "name"],
  ["completion/complete", "params", "ref", "uri"],
  ["subscriptions/listen", "params", "notifications", "resourceSubscriptions"],
  ["subscriptions/listen", "params", "notifications", "taskIds"],
];

/** By code points, as UTF-8 sorts; JavaScript's own order is that of UTF-16. */
function order(first, second) {
  return Buffer.compare(Buffer.from(first), Buffer.from(second));
}

function canonical(value) {
  if (typeof value === "string") return `"${Buffer.byteLength(value)}:${value}`;
  if (typeof value === "number") {
    double.writeDoubleBE(value);
    return `#${double.toString("hex")}`;
  }
  if (value === null) return "n";
  if (typeof value === "boolean") return value ? "t" : "f";
  if (Array.isArray(value)) return `[${value.map(canonical).join("")}]`;
  const names = Object.keys(value).sort(order);
  return `{${names.map((name) => canonical(name) + canonical(value[name])).join("")}}`;
}

function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** As a server takes it: by name, whatever the prototype brings. */
function at(value, path) {
  for (const name of path) {
    if (!isObject(value)) return undefined;
    value = value[name];
  }
  return value;
}

function reading(document, isWhole) {
  const count = Array.isArray(document) ? document.length : Number(isObject(document));
  const method = at(document, ["method"]);
  const view = PATHS.map(([asked, ...path]) => {
    const found = asked === "" || asked === method ? at(document, path) : undefined;
    return found === undefined ? "!" : canonical(found);
  });
  return [count, ...view, isWhole ? canonical(document) : "?"].join("");
}

/** What a decoder into types keeps of a message. */
function typed({ method, id, params }) {
  return { ...(method !== undefined && { method }), ...(id !== undefined && { id }), ...(params !== undefined && { params }) };
}

// The name, what it makes of the document, and whether that is the whole of it.
const READERS = [
  [`Node ${process.version} JSON.parse`, (document) => document, true],
  [`TypeScript SDK ${dependencies["@modelcontextprotocol/sdk"]}`, (document) => typed(JSONRPCMessageSchema.parse(document)), false],
  [`TypeScript SDK ${dependencies["@modelcontextprotocol/client"]}`, (document) => typed(parseJSONRPCMessage(document)), false],
];

function answer(read, isWhole, text, wanted) {
  try {
    const document = read(JSON.parse(decoder.decode(text)));
    return wanted ? `+${reading(document, isWhole)}` : "+";
  } catch (error) {
    // The sentence takes longer than the reading.
    return !wanted ? "-" : `-${String(error).replace(/\s+/g, " ").slice(0, 200)}`;
  }
}

function receive(length) {
  const buffer = Buffer.alloc(length);
  for (let place = 0; place < length; ) {
    const count = readSync(0, buffer, place, length - place);
    if (count === 0) return null;
    place += count;
  }
  return buffer;
}

function frame(content) {
  const bytes = Buffer.from(content);
  const head = Buffer.alloc(4);
  head.writeUInt32LE(bytes.length);
  return Buffer.concat([head, bytes]);
}

function send(content) {
  const bytes = frame(content);
  for (let place = 0; place < bytes.length; ) place += writeSync(1, bytes, place);
}

send(READERS.map(([name]) => name).join("\n"));
for (;;) {
  const head = receive(4);
  if (head === null) break;
  const batch = receive(head.readUInt32LE());
  const out = [];
  for (let place = 0; place < batch.length; ) {
    const end = place + 4 + batch.readUInt32LE(place);
    const text = batch.subarray(place + 5, end);
    for (const [, read, isWhole] of READERS) out.push(frame(answer(read, isWhole, text, batch[place + 4] === 1)));
    place = end;
  }
  send(Buffer.concat(out));
}
