// What fixture.mjs serves, the same in both eras: the tools, prompts and resources that the conformance suite asks for
// by name, and a few that make a client show what else it can do.
//
// A tool is a description, a schema of its arguments, the eras that have it where it is not in both, whether it can be
// a task (`optional`), has to be one (`required`) or becomes one with its second round (`then`), and `run`. What `run`
// gets as its context is all that differs between the eras; fixture.mjs makes one for each, tasks.mjs one for tasks.

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4nGP4z8DwHwAFAAH/iZk9HQAAAABJRU5ErkJggg==';
const WAV = 'UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=';

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const text = (text) => ({ type: 'text', text });
const embedded = (uri, mimeType, text) => ({ type: 'resource', resource: { uri, mimeType, text } });
const shown = (value) => JSON.stringify(value ?? {});

// Requests to the client.
const form = (message, properties, required = Object.keys(properties)) => ({
  method: 'elicitation/create',
  params: { mode: 'form', message, requestedSchema: { type: 'object', properties, required } },
});
const sample = (prompt) => ({
  method: 'sampling/createMessage',
  params: { messages: [{ role: 'user', content: text(prompt) }], maxTokens: 100 },
});
const roots = { method: 'roots/list', params: {} };
const NAME = form('What is your name?', { name: { type: 'string' } });
const CONFIRM = form('Please confirm', { ok: { type: 'boolean' } });

const string = (...names) => Object.fromEntries(names.map((name) => [name, { type: 'string' }]));
const takes = (properties) => ({ type: 'object', properties, required: Object.keys(properties) });

// Calls of `slow` by their key, and whether they were cancelled.
const cancelled = new Map();

export const TOOLS = {
  test_simple_text: {
    description: 'A text.',
    run: () => [text('This is a simple text response for testing.')],
  },
  test_image_content: {
    description: 'A picture of one pixel.',
    run: () => [{ type: 'image', data: PNG, mimeType: 'image/png' }],
  },
  test_audio_content: {
    description: 'A sound of no length.',
    run: () => [{ type: 'audio', data: WAV, mimeType: 'audio/wav' }],
  },
  test_embedded_resource: {
    description: 'A resource inside a result.',
    run: () => [embedded('test://embedded-resource', 'text/plain', 'This is an embedded resource content.')],
  },
  test_multiple_content_types: {
    description: 'A text, a picture and a resource.',
    run: () => [
      text('Multiple content types test:'),
      { type: 'image', data: PNG, mimeType: 'image/png' },
      embedded('test://mixed-content-resource', 'application/json', '{"test":"data","value":123}'),
    ],
  },
  test_error_handling: {
    description: 'Fails.',
    run: () => {
      throw new Error('This tool intentionally returns an error for testing');
    },
  },
  test_tool_with_logging: {
    description: 'Three lines in the log.',
    run: async (_, context) => {
      for (const line of ['Tool execution started', 'Tool processing data', 'Tool execution completed']) {
        await context.log('info', line);
        await sleep(50);
      }
      return [text('Tool with logging executed successfully')];
    },
  },
  test_logging_tool: {
    description: 'One line in the log, for whoever asked for one.',
    run: async (_, context) => {
      await context.log('info', 'only for a caller that wants it');
      return [text('logged')];
    },
  },
  test_tool_with_progress: {
    description: 'Three steps.',
    run: async (_, { progressToken, notify }) => {
      for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
        await notify('notifications/progress', { progressToken, progress, total: 100, message: `${progress} %` });
        await sleep(50);
      }
      return [text(progressToken === undefined ? 'nobody asked' : 'three steps')];
    },
  },
  test_reconnection: {
    description: 'Ends the stream of its answer before the answer, for a client that comes back for it.',
    eras: ['legacy'],
    run: async (_, context) => {
      context.cut();
      await sleep(100);
      return [text('Reconnection test completed successfully')];
    },
  },
  resumed: {
    description: 'Whether a stream of this session was resumed.',
    eras: ['legacy'],
    run: (_, { resumed }) => [text(String(resumed() > 0))],
  },
  test_sampling: {
    description: 'Asks the model of the client.',
    schema: takes(string('prompt')),
    run: async ({ prompt }, { ask }) => {
      const { answer } = await ask({ answer: sample(prompt) });
      return [text(`LLM response: ${answer.content.text}`)];
    },
  },
  test_elicitation: {
    description: 'Asks the user.',
    schema: takes(string('message')),
    run: async ({ message }, { ask }) => {
      const { answer } = await ask({ answer: form(message, { response: { type: 'string' } }) });
      return [text(`User response: action=${answer.action}, content=${shown(answer.content)}`)];
    },
  },
  test_elicitation_sep1034_defaults: {
    description: 'Asks with defaults of each type.',
    eras: ['legacy'],
    run: async (_, { ask }) => {
      const fields = {
        name: { type: 'string', default: 'John Doe' },
        age: { type: 'integer', default: 30 },
        score: { type: 'number', default: 95.5 },
        status: { type: 'string', enum: ['active', 'inactive', 'pending'], default: 'active' },
        verified: { type: 'boolean', default: true },
      };
      const { answer } = await ask({ answer: form('Please review the defaults', fields, []) });
      return [text(`Elicitation completed: action=${answer.action}, content=${shown(answer.content)}`)];
    },
  },
  test_elicitation_sep1330_enums: {
    description: 'Asks to choose, in the five ways there are.',
    eras: ['legacy'],
    run: async (_, { ask }) => {
      const options = ['option1', 'option2', 'option3'];
      const titled = [1, 2, 3].map((number) => ({ const: `value${number}`, title: `Option ${number}` }));
      const fields = {
        untitledSingle: { type: 'string', enum: options },
        titledSingle: { type: 'string', oneOf: titled },
        legacyEnum: { type: 'string', enum: ['opt1', 'opt2', 'opt3'], enumNames: ['One', 'Two', 'Three'] },
        untitledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { type: 'string', enum: options } },
        titledMulti: { type: 'array', minItems: 1, maxItems: 3, items: { anyOf: titled } },
      };
      const { answer } = await ask({ answer: form('Please select options', fields, []) });
      return [text(`Elicitation completed: action=${answer.action}, content=${shown(answer.content)}`)];
    },
  },
  json_schema_2020_12_tool: {
    description: 'A schema with the words of JSON Schema 2020-12.',
    schema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: { address: { $anchor: 'addressDef', type: 'object', properties: string('street', 'city') } },
      properties: {
        ...string('name', 'phone', 'email'),
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    run: (given) => [text(shown(given))],
  },
  test_x_mcp_header: {
    description: 'An argument that is mirrored into Mcp-Param-Region.',
    schema: {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } },
    },
    run: ({ region }) => [text(`region ${region}`)],
  },
  test_missing_capability: {
    description: 'Needs a client that can sample.',
    eras: ['modern'],
    run: async (_, { ask }) => {
      await ask({ answer: sample('Say pong') });
      return [text('sampled')];
    },
  },
  test_streaming_elicitation: {
    description: 'Answers, and asks nothing.',
    eras: ['modern'],
    run: () => [text('nothing asked')],
  },
  test_input_required_result_elicitation: {
    description: 'Asks the user for a name.',
    run: async (_, { ask }) => [text(`Hello, ${(await ask({ user_name: NAME })).user_name.content.name}!`)],
  },
  test_input_required_result_sampling: {
    description: 'Asks the model a question.',
    run: async (_, { ask }) => {
      const { capital } = await ask({ capital: sample('What is the capital of France?') });
      return [text(`Sampling response: ${capital.content.text}`)];
    },
  },
  test_input_required_result_list_roots: {
    description: 'Asks for the roots of the client.',
    run: async (_, { ask }) => [text(shown((await ask({ client_roots: roots })).client_roots.roots))],
  },
  test_input_required_result_request_state: {
    description: 'Asks, and gives the client a state to bring back.',
    run: async (_, context) => {
      await context.ask({ confirm: CONFIRM });
      return [text(`state-ok: ${context.held()}`)];
    },
  },
  test_input_required_result_multiple_inputs: {
    description: 'Asks three things at once.',
    run: async (_, { ask }) => {
      const all = await ask({ user_name: NAME, greeting: sample('Generate a greeting'), client_roots: roots });
      const { greeting, user_name, client_roots } = all;
      return [text(`${greeting.content.text} ${user_name.content.name}, ${client_roots.roots.length} roots`)];
    },
  },
  test_input_required_result_multi_round: {
    description: 'Asks one thing after another.',
    run: async (_, { ask }) => {
      const { step1 } = await ask({ step1: NAME });
      const { step2 } = await ask({ step2: form('What is your favorite color?', { color: { type: 'string' } }) });
      return [text(`Multi-round complete: ${step1.content.name} likes ${step2.content.color}`)];
    },
  },
  test_input_required_result_tampered_state: {
    description: 'Refuses a state that is not its own.',
    run: async (_, { ask }) => {
      await ask({ confirm: CONFIRM });
      return [text('integrity-ok')];
    },
  },
  test_input_required_result_capabilities: {
    description: 'Asks only what the client can do.',
    run: async (_, { ask, capabilities }) => {
      const wanted = { elicitation: { user_name: NAME }, sampling: { greeting: sample('Greet me') }, roots: { roots } };
      const possible = Object.keys(wanted).filter((name) => capabilities[name]);
      await ask(Object.assign({}, ...possible.map((name) => wanted[name])));
      return [text(`asked for ${possible.join(', ') || 'nothing'}`)];
    },
  },
  test_trigger_tool_change: {
    description: 'Says that the tools have changed.',
    run: async (_, { changed }) => (await changed('tools'), [text('said')]),
  },
  test_trigger_prompt_change: {
    description: 'Says that the prompts have changed.',
    run: async (_, { changed }) => (await changed('prompts'), [text('said')]),
  },
  touch: {
    description: 'Says that a resource has changed.',
    schema: takes(string('uri')),
    run: async ({ uri }, { changed }) => (await changed('resource', uri), [text('touched')]),
  },
  slow: {
    description: 'Takes a minute, unless it is cancelled.',
    schema: takes(string('key')),
    run: async ({ key }, { signal }) => {
      cancelled.set(key, false);
      await new Promise((done) => {
        const timer = setTimeout(done, 60_000);
        signal.addEventListener('abort', () => (clearTimeout(timer), cancelled.set(key, true), done()));
      });
      return [text('done')];
    },
  },
  was_cancelled: {
    description: 'Whether the call of `slow` with this key began and was cancelled, waiting for that a little.',
    schema: takes(string('key')),
    run: async ({ key }) => {
      for (let tries = 0; tries < 100 && !cancelled.get(key); tries++) await sleep(50);
      return [text(String(cancelled.get(key) ?? 'never called'))];
    },
  },
  has_begun: {
    description: 'Whether a call of `slow` with this key has begun, waiting for that a little.',
    schema: takes(string('key')),
    run: async ({ key }) => {
      for (let tries = 0; tries < 100 && !cancelled.has(key); tries++) await sleep(50);
      return [text(String(cancelled.has(key)))];
    },
  },
  work: {
    description: 'Can be called as a task.',
    task: 'optional',
    schema: takes(string('on')),
    run: async ({ on }) => (await sleep(150), [text(`worked on ${on}`)]),
  },
  greet: {
    description: 'Greets, and is no task.',
    eras: ['modern'],
    schema: takes(string('name')),
    run: ({ name }) => [text(`Hello, ${name}!`)],
  },
  slow_compute: {
    description: 'Takes as many seconds as it is told, and can be called as a task.',
    eras: ['modern'],
    task: 'optional',
    schema: { type: 'object', properties: { seconds: { type: 'number' } } },
    run: async ({ seconds = 0 }) => (await sleep(seconds * 1000), [text(`computed for ${seconds} s`)]),
  },
  failing_job: {
    description: 'A task that fails as tools do.',
    eras: ['modern'],
    task: 'required',
    run: async () => {
      await sleep(200);
      throw new Error('the job has failed');
    },
  },
  protocol_error_job: {
    description: 'A task that fails as a whole.',
    eras: ['modern'],
    task: 'required',
    run: async () => {
      await sleep(200);
      throw Object.assign(new Error('the server has failed'), { code: -32603 });
    },
  },
  confirm_delete: {
    description: 'A task that asks the user.',
    eras: ['modern'],
    task: 'required',
    schema: { type: 'object', properties: string('filename') },
    run: async ({ filename }, { ask }) => {
      const { confirm } = await ask({ confirm: CONFIRM });
      return [text(`${filename}: ${confirm.action}`)];
    },
  },
  multi_input: {
    description: 'A task that asks two things at once.',
    eras: ['modern'],
    task: 'required',
    run: async (_, { ask }) => [text(shown(Object.keys(await ask({ first: NAME, second: CONFIRM }))))],
  },
  test_tool_with_task: {
    description: 'Asks for a name, and then becomes a task.',
    eras: ['modern'],
    task: 'then',
    run: async (_, { ask }) => [text(`Hello, ${(await ask({ user_name: NAME })).user_name.content.name}!`)],
  },
};

export const RESOURCES = {
  'test://static-text': { mimeType: 'text/plain', text: 'This is the content of the static text resource.' },
  'test://static-binary': { mimeType: 'image/png', blob: PNG },
  'test://watched-resource': { mimeType: 'text/plain', text: 'Watched resource content' },
};

export const TEMPLATE = { name: 'template', uriTemplate: 'test://template/{id}/data', mimeType: 'application/json' };

/** The contents of a resource, or undefined where there is none. */
export function resource(uri) {
  const id = /^test:\/\/template\/([^/]+)\/data$/.exec(uri)?.[1];
  const templated = () => ({ mimeType: 'application/json', text: JSON.stringify({ id, data: `Data for ID: ${id}` }) });
  const found = id ? templated() : RESOURCES[uri];
  return found && { contents: [{ uri, ...found }] };
}

const said = (content) => ({ role: 'user', content });

export const PROMPTS = {
  test_simple_prompt: {
    description: 'A text.',
    run: () => [said(text('This is a simple prompt for testing.'))],
  },
  test_prompt_with_arguments: {
    description: 'Two words.',
    arguments: ['arg1', 'arg2'],
    run: ({ arg1, arg2 }) => [said(text(`Prompt with arguments: arg1='${arg1}', arg2='${arg2}'`))],
  },
  test_prompt_with_embedded_resource: {
    description: 'A resource.',
    arguments: ['resourceUri'],
    run: ({ resourceUri }) => [said(embedded(resourceUri, 'text/plain', 'Embedded.')), said(text('Process it.'))],
  },
  test_prompt_with_image: {
    description: 'A picture.',
    run: () => [said({ type: 'image', data: PNG, mimeType: 'image/png' }), said(text('Look at it.'))],
  },
  test_input_required_result_prompt: {
    description: 'Asks the user first.',
    eras: ['modern'],
    run: async (_, { ask }) => {
      const question = form('What context should the prompt use?', { context: { type: 'string' } });
      return [said(text(`Use ${(await ask({ user_context: question })).user_context.content.context}`))];
    },
  },
};
