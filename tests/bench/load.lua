-- wrk's script, one for all sides, so that each costs wrk the same.
-- Arguments: REQUEST SKIP LIMIT TOKENS...
-- REQUEST is a file holding the request as bytes with TOKEN where the bearer
-- token goes, and behind it perhaps ########## where ten digits go, never the same
-- ones for a day. Each TOKENS file holds one token per line: a file of one line
-- gives that token every time, another each of its lines once, from line
-- SKIP + 1 and at most LIMIT of them. Several files take turns. At the end of
-- any file the load stops. `used` are the lines taken from each such file.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

local function source(path, skip, limit)
  local lines = io.lines(path)
  local first = lines()
  local second = lines()
  if second == nil then
    return function() return first end
  end
  lines = io.lines(path)
  for _ = 1, skip do
    lines()
  end
  local taken = 0
  return function()
    if taken >= limit then
      return nil
    end
    taken = taken + 1
    used = math.max(used, taken)
    return lines()
  end
end

function init(args)
  local file = assert(io.open(args[1], "rb"))
  local bytes = file:read("*a")
  file:close()
  local from, to = bytes:find("TOKEN", 1, true)
  before, after = bytes:sub(1, from - 1), bytes:sub(to + 1)
  from, to = after:find("##########", 1, true)
  if from then
    after, rest = after:sub(1, from - 1), after:sub(to + 1)
  end
  -- Fewer requests are sent in a second than there are numbers for it.
  number = os.time() % 86400 * 100000
  -- A global, because done() reads it from another Lua state.
  used = 0
  sources = {}
  for index = 4, #args do
    table.insert(sources, source(args[index], tonumber(args[2]), tonumber(args[3])))
  end
  turn = 0
end

function request()
  turn = turn % #sources + 1
  local token = sources[turn]()
  if token == nil then
    wrk.thread:stop()
    return last
  end
  last = before .. token .. after
  if rest then
    number = number + 1
    last = last .. string.format("%010d", number) .. rest
  end
  return last
end

function done(summary, latency, requests)
  local used = 0
  for _, thread in ipairs(threads) do
    used = used + thread:get("used")
  end
  local errors = summary.errors
  io.write(string.format(
    '{"requests": %d, "duration_us": %d, "used": %d, "refused": %d, "broken": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.duration, used, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
