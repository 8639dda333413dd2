// What a group does in Redis in one step each: a beat, a claim, a change of the registry. Constants. Keys of one hash tag, but for the
// registry and its keeper, whose names are older than groups.

package enum GroupScripts {
    /// One beat of a member. KEYS: members, epoch. ARGV: name, state, done, JSON, epoch at least, channel, 1 when the state stands though
    /// Redis does not know the member, then name and `<beat> <state>` of each member that is believed dead. Returns the epoch, the state
    /// before, all members, the member's entry before.
    ///
    /// Who is believed dead is `gone` only where it still stands like that: it may have come back meanwhile. Who has been gone or has left
    /// for as long again is forgotten; by then all have seen it. What does not count any more (above 2^53) begins again.
    package static let beat = """
        local M, E = KEYS[1], KEYS[2]
        local id, state, changed = ARGV[1], ARGV[2], false
        local function entry(name) return string.match(redis.call('HGET', M, name) or '', '^(%d+) (%a+) (.*)$') end
        local function number(text)
          local n = tonumber(text)
          if n and n >= 0 and n < 9007199254740992 then return math.floor(n) end
          return 0
        end
        for i = 8, #ARGV, 2 do
          local beat, was, rest = entry(ARGV[i])
          if beat and beat .. ' ' .. was == ARGV[i + 1] then
            if was == 'gone' or was == 'left' then redis.call('HDEL', M, ARGV[i])
            else redis.call('HSET', M, ARGV[i], beat .. ' gone ' .. rest) changed = true end
          end
        end
        local known = redis.call('HGET', M, id) or ''
        local beat, was = entry(id)
        was = was or 'none'
        if was == 'gone' and state == 'leaving' then state = 'left'
        elseif (was == 'gone' or was == 'none' and ARGV[7] ~= '1') and state ~= 'left' then state = 'joining' end
        if was ~= state then changed = true end
        redis.call('HSET', M, id, string.format('%.0f %s %s %s', number(beat) + 1, state, ARGV[3], ARGV[4]))
        local epoch, least = number(redis.call('GET', E)), number(ARGV[5])
        if epoch < least then epoch = least changed = true end
        if changed then
          epoch = epoch + 1
          redis.call('SET', E, string.format('%.0f', epoch))
          redis.call('PUBLISH', ARGV[6], string.format('%.0f', epoch))
        end
        return { epoch, was, redis.call('HGETALL', M), known }
        """

    /// Whose a request is. KEYS: claim, repeat mark. ARGV: who asks, ms of a claim, ms of a repeat mark. Returns 1: the caller's, also when
    /// it asks again; the answer, when it is known and the caller is to publish it; else 0.
    package static let claim = """
        if redis.call('SET', KEYS[1], '?' .. ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
        local known = redis.call('GET', KEYS[1])
        if known == '?' .. ARGV[1] then return 1 end
        if not known or string.sub(known, 1, 1) ~= '=' then return 0 end
        if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[3]) then return string.sub(known, 2) end
        return 0
        """

    /// The answer of a claimed request, unless another has claimed it since. KEYS: claim, repeat mark. ARGV: who has claimed it, the
    /// answer, ms it is kept, ms of the mark: who hears the request only now shall not take it for a repetition.
    package static let settle = """
        local known = redis.call('GET', KEYS[1])
        if known and known ~= '?' .. ARGV[1] then return 0 end
        redis.call('SET', KEYS[1], '=' .. ARGV[2], 'PX', ARGV[3])
        redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
        return 1
        """

    /// How long claims last from now, where they are the caller's. KEYS: claims. ARGV: who has claimed them, ms. Returns how many are.
    package static let hold = """
        local count = 0
        for _, key in ipairs(KEYS) do
          if redis.call('GET', key) == '?' .. ARGV[1] then count = count + redis.call('PEXPIRE', key, ARGV[2]) end
        end
        return count
        """

    /// A change of the registry, with its size beside it: who reads both together knows whether Redis has kept all of it. KEYS: registry,
    /// keeper. ARGV: 0 for a change, 3 to take one back; 1 and 2 leave alone what is there, and 2 says that all of it is there again; then
    /// ids and definitions: an empty one erases. Where some of it was missing before, only 2 makes it whole. Returns the size; -1 where a
    /// change finds another definition under the id, which stays.
    package static let register = """
        local keeper, before = redis.call('GET', KEYS[2]), redis.call('HLEN', KEYS[1])
        local whole = ARGV[1] == '2' or keeper == 'group ' .. before or (not keeper and before == 0)
        local refused = false
        for i = 2, #ARGV, 2 do
          local id, text, known = ARGV[i], ARGV[i + 1], redis.call('HGET', KEYS[1], ARGV[i])
          if ARGV[1] == '3' then if known == text then redis.call('HDEL', KEYS[1], id) end
          elseif text == '' then redis.call('HDEL', KEYS[1], id)
          elseif not known then redis.call('HSET', KEYS[1], id, text)
          elseif ARGV[1] == '0' and known ~= text then refused = true end
        end
        local size = redis.call('HLEN', KEYS[1])
        if whole then redis.call('SET', KEYS[2], 'group ' .. size) end
        return refused and -1 or size
        """

    /// The keeper and the registry, read at one moment. KEYS: registry, keeper.
    package static let registry = "return { redis.call('GET', KEYS[2]), redis.call('HGETALL', KEYS[1]) }"
}
