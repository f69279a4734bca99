-- The recorded requests of one shopper, over and over. Their keys repeat, so
-- each answer is the one that the shopper got.
local requests, turn = {}, 0

function init(files)
  for i, name in ipairs(files) do
    local f = assert(io.open(name, "rb"))
    requests[i] = f:read("*a")
    f:close()
  end
end

function request()
  turn = turn % #requests + 1
  return requests[turn]
end

function done(summary)
  local e = summary.errors
  print("sent " .. summary.requests .. " failed " .. e.connect + e.read + e.write + e.status + e.timeout)
end
