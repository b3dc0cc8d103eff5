// The tasks extension of the modern era (SEP-2663), which the SDK leaves to who needs it: part of fixture.mjs.

import { randomBytes } from 'node:crypto';
import { TOOLS } from './content.mjs';

export const EXTENSION = 'io.modelcontextprotocol/tasks';

const META = 'io.modelcontextprotocol/';
const MISSING = { requiredCapabilities: { extensions: { [EXTENSION]: {} } } };
const OVER = ['cancelled', 'completed', 'failed'];
const tasks = new Map();

class Task {
  answers = {};
  pending = {};
  status = 'working';
  outcome = {};
  taskId = randomBytes(16).toString('hex');
  createdAt = new Date().toISOString();
  lastUpdatedAt = this.createdAt;

  constructor(tool, given, answers) {
    this.answers = { ...answers };
    tasks.set(this.taskId, this);
    this.run(tool, given).catch((error) => console.error(error));
  }

  become(status, outcome = {}) {
    if (OVER.includes(this.status)) return;
    Object.assign(this, { status, outcome, lastUpdatedAt: new Date().toISOString() });
  }

  async run(tool, given) {
    try {
      const content = await tool.run(given, { ask: (requests) => this.ask(requests) });
      this.become('completed', { result: { resultType: 'complete', content } });
    } catch ({ code, message }) {
      const result = { resultType: 'complete', content: [{ type: 'text', text: message }], isError: true };
      if (code) this.become('failed', { error: { code, message } });
      else this.become('completed', { result });
    }
  }

  ask(requests) {
    this.pending = Object.fromEntries(Object.entries(requests).filter(([key]) => !(key in this.answers)));
    if (Object.keys(this.pending).length === 0) return this.answers;
    this.become('input_required');
    return new Promise((done) => (this.answered = done));
  }

  update(responses) {
    for (const [key, response] of Object.entries(responses ?? {})) {
      if (!(key in this.pending)) continue;
      this.answers[key] = response;
      delete this.pending[key];
    }
    if (this.status !== 'input_required' || Object.keys(this.pending).length > 0) return;
    this.become('working');
    this.answered(this.answers);
  }

  get shown() {
    const { taskId, status, createdAt, lastUpdatedAt } = this;
    const asked = status === 'input_required' ? { inputRequests: this.pending } : {};
    return { taskId, status, createdAt, lastUpdatedAt, ttlMs: 60_000, pollIntervalMs: 50, ...asked, ...this.outcome };
  }
}

/** The answer to a request of the modern era that is about a task; undefined where none is. */
export function taskReply(headers, { id, method, params }) {
  const done = (result) => ({ status: 200, body: { jsonrpc: '2.0', id, result } });
  const failed = (status, code, message, data) => ({
    status,
    body: { jsonrpc: '2.0', id, error: { code, message, data } },
  });
  const can = params?._meta?.[`${META}clientCapabilities`]?.extensions?.[EXTENSION];
  if (method === 'tools/call') {
    const tool = TOOLS[params.name];
    const now = tool?.task === 'then' ? params.inputResponses : tool?.task;
    if (!now || headers['mcp-name'] !== params.name) return undefined;
    const begin = () => new Task(tool, params.arguments ?? {}, params.inputResponses);
    if (can) return done({ resultType: 'task', ...begin().shown });
    return tool.task === 'optional' ? undefined : failed(400, -32021, 'only as a task', MISSING);
  }
  if (!['tasks/get', 'tasks/update', 'tasks/cancel'].includes(method)) return undefined;
  if (headers['mcp-name'] !== params.taskId) return failed(400, -32020, 'Mcp-Name is not the task');
  if (!can) return failed(400, -32021, 'tasks were not negotiated', MISSING);
  const task = tasks.get(params.taskId);
  if (!task) return failed(200, -32602, 'no such task');
  if (method === 'tasks/get') return done({ resultType: 'complete', ...task.shown });
  if (method === 'tasks/update') task.update(params.inputResponses);
  else task.become('cancelled');
  return done({ resultType: 'complete' });
}
