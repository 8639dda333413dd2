"""Lua that Redis runs for workers: what must not be torn apart. Constants.

Each touches only entries that are still this consumer's: one that was taken over meanwhile is somebody else's to decide on.
"""

from __future__ import annotations

from typing import Final

#: KEYS: stream. ARGV: group, consumer, ids. The idle time of each begins anew; deliveries stay.
RENEW: Final = """
local renewed = 0
for i = 3, #ARGV do
  if #redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[i], ARGV[i], 1, ARGV[2]) > 0 then
    redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[i], 'JUSTID')
    renewed = renewed + 1
  end
end
return renewed
"""

#: KEYS: stream. ARGV: group, consumer, id, idle time in ms, deliveries. 0: it is somebody else's. An entry that nobody has is left so.
MARK: Final = """
local found = redis.call('XPENDING', KEYS[1], ARGV[1], ARGV[3], ARGV[3], 1)[1]
if not found then return 1 end
if found[2] ~= ARGV[2] then return 0 end
redis.call('XCLAIM', KEYS[1], ARGV[1], ARGV[2], 0, ARGV[3], 'IDLE', ARGV[4], 'RETRYCOUNT', ARGV[5], 'JUSTID')
return 1
"""

#: KEYS: stream, dead letters. ARGV: group, consumer, id, most letters, what the letter says of it. 1: it lies there, and is acknowledged.
BURY: Final = """
local stream, letters, group, owner, id = KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3]
if #redis.call('XPENDING', stream, group, id, id, 1, owner) == 0 then return 0 end
local words = {}
local entry = redis.call('XRANGE', stream, id, id)[1]
if entry then
  for _, word in ipairs(entry[2]) do words[#words + 1] = word end
end
for i = 5, #ARGV do words[#words + 1] = ARGV[i] end
redis.call('XADD', letters, 'MAXLEN', '~', ARGV[4], '*', unpack(words))
redis.call('XACK', stream, group, id)
return 1
"""

#: KEYS: stream. ARGV: group, consumer. A consumer that has nothing pending is forgotten.
FORGET: Final = """
if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
return 1
"""
