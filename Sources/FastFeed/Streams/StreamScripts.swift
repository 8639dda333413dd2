// What must be looked at and done at one moment: short scripts that Redis runs. Each is about one key and works the same from
// 6.2 on. Pure: texts.

enum StreamScripts {
    /// KEYS: the stream. ARGV: the group, the place, whether it may have pending entries. Answers how many kept it from moving.
    static let seek = """
        local pending = redis.call('XPENDING', KEYS[1], ARGV[1])[1]
        if pending > 0 and ARGV[3] ~= '1' then return pending end
        redis.call('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2])
        return 0
        """

    /// KEYS: the stream. ARGV: the group, the consumer. 1: it is gone; 0: it has pending entries.
    static let forget = """
        if #redis.call('XPENDING', KEYS[1], ARGV[1], '-', '+', 1, ARGV[2]) > 0 then return 0 end
        redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], ARGV[2])
        return 1
        """

    /// KEYS: the stream. ARGV: a limit, or nothing. Cuts off what every group has been delivered and has acknowledged: up to the smallest
    /// id, of all groups, that is pending or may still be delivered. Ids have more digits than a Lua number holds: they are compared and
    /// counted up as texts. Answers how many went.
    static let trimDone = """
        if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
        local function split(id) return string.match(id, '^(%d+)-(%d+)$') end
        local function less(a, b) if #a ~= #b then return #a < #b end return a < b end
        local function before(a, b)
          local ams, as = split(a)
          local bms, bs = split(b)
          if ams ~= bms then return less(ams, bms) end
          return less(as, bs)
        end
        local function up(n)
          local digits, nines = string.match(n, '^(%d-)(9*)$')
          if digits == '' then digits = '0' end
          local last = string.byte(digits, -1) - 48
          return string.sub(digits, 1, -2) .. (last + 1) .. string.rep('0', #nines)
        end
        local max = '18446744073709551615'
        local function after(id)
          local ms, seq = split(id)
          if seq ~= max then return ms .. '-' .. up(seq) end
          if ms ~= max then return up(ms) .. '-0' end
          return id
        end
        local least = nil
        for _, group in ipairs(redis.call('XINFO', 'GROUPS', KEYS[1])) do
          local name, last = nil, nil
          for i = 1, #group, 2 do
            if group[i] == 'name' then name = group[i + 1] end
            if group[i] == 'last-delivered-id' then last = group[i + 1] end
          end
          local place = after(last)
          local oldest = redis.call('XPENDING', KEYS[1], name)[2]
          if oldest and before(oldest, place) then place = oldest end
          if not least or before(place, least) then least = place end
        end
        if not least then return 0 end
        if ARGV[1] ~= '' then return redis.call('XTRIM', KEYS[1], 'MINID', '~', least, 'LIMIT', ARGV[1]) end
        return redis.call('XTRIM', KEYS[1], 'MINID', '=', least)
        """
}
