// What a consumer does in Redis that must not come apart: looked at and changed in one script. Pure here: texts.
//
// They use what Redis 6.2 has, declare their keys, and touch a message only while it is still this consumer's. A command that is refused
// ends a script with that refusal as it is; what was done before that is harmless.

package enum ConsumerScripts {
    /// KEYS: the stream. ARGV: group, consumer, idle ms to set, `1` to set the counts, `1` to put back what is not pending at all; then
    /// ids, each with its count of deliveries. Answers a code for each id:
    ///
    /// - `ours`: it is this consumer's, its idle time is set. `other`: another consumer's; untouched.
    /// - `missing`: not pending (and its entry is gone, where it was to be put back).
    /// - `trimmed`: it was pending, but its entry is gone: Redis has dropped it.
    static let hold = """
        local key, group, me, idle, sets, forces = KEYS[1], ARGV[1], ARGV[2], ARGV[3], ARGV[4] == '1', ARGV[5] == '1'
        local codes = {}
        for i = 6, #ARGV, 2 do
          local id, count = ARGV[i], ARGV[i + 1]
          local rows = redis.pcall('XPENDING', key, group, id, id, 1)
          if rows.err then return rows end
          local claimed
          if not rows[1] then
            if forces then
              claimed = redis.pcall('XCLAIM', key, group, me, 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'FORCE', 'JUSTID')
            else
              claimed = {}
            end
          elseif rows[1][2] ~= me then claimed = nil
          elseif sets then claimed = redis.pcall('XCLAIM', key, group, me, 0, id, 'IDLE', idle, 'RETRYCOUNT', count, 'JUSTID')
          else claimed = redis.pcall('XCLAIM', key, group, me, 0, id, 'IDLE', idle, 'JUSTID')
          end
          if claimed and claimed.err then return claimed end
          if not claimed then codes[#codes + 1] = 2
          elseif claimed[1] then codes[#codes + 1] = 1
          else codes[#codes + 1] = rows[1] and 3 or 0
          end
        end
        return codes
        """

    package enum HoldCode {
        package static let missing = 0, ours = 1, other = 2, trimmed = 3
    }

    /// KEYS: the stream. ARGV: group, consumer, idle ms to set; then ids, each with its count of deliveries. Gives back what is still this
    /// consumer's, with an idle time with which anybody may take it. It goes over to the consumer that was seen last, so that this one's
    /// name can be deleted; where there is no other that is alive, it stays. Answers a code for each id, as `hold`.
    static let giveBack = """
        local key, group, me, idle = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
        local names = redis.pcall('XINFO', 'CONSUMERS', key, group)
        if names.err then return names end
        local taker, least = me, tonumber(idle)
        for i = 1, #names do
          local row = {}
          for at = 1, #names[i], 2 do row[names[i][at]] = names[i][at + 1] end
          if row.name ~= me and row.idle < least then taker, least = row.name, row.idle end
        end
        local codes = {}
        for i = 4, #ARGV, 2 do
          local rows = redis.pcall('XPENDING', key, group, ARGV[i], ARGV[i], 1)
          if rows.err then return rows end
          local code = 0
          if rows[1] and rows[1][2] ~= me then code = 2
          elseif rows[1] then
            local given = redis.pcall(
              'XCLAIM', key, group, taker, 0, ARGV[i], 'IDLE', idle, 'RETRYCOUNT', ARGV[i + 1], 'JUSTID')
            if given.err then return given end
            code = given[1] and 1 or 3
          end
          codes[#codes + 1] = code
        end
        return codes
        """

    /// KEYS: the stream, the dead letters. ARGV: group, consumer, id, deliveries, reason, entries that the dead letters keep. Appends the
    /// entry's fields and why it is there, and acknowledges it. The codes are those of `hold`, `ours` for done.
    static let bury = """
        local key, dead, group, me, id, deliveries, reason, most =
          KEYS[1], KEYS[2], ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
        local rows = redis.pcall('XPENDING', key, group, id, id, 1)
        if rows.err then return rows end
        if not rows[1] then return 0 end
        if rows[1][2] ~= me then return 2 end
        local found = redis.pcall('XRANGE', key, id, id)
        if found.err then return found end
        local code = 3
        if found[1] then
          local fields, command = found[1][2], {'XADD', dead, 'MAXLEN', '~', most, '*'}
          -- Lua hands at most some 8,000 words to a call.
          local kept = math.min(#fields, 7900)
          for i = 1, kept do command[#command + 1] = fields[i] end
          local more = {'dead_stream', key, 'dead_group', group, 'dead_id', id, 'dead_deliveries', deliveries, 'dead_reason', reason}
          if kept < #fields then
            more[#more + 1] = 'dead_fields_left_out'
            more[#more + 1] = (#fields - kept) / 2
          end
          for i = 1, #more do command[#command + 1] = more[i] end
          local added = redis.pcall(unpack(command))
          if type(added) == 'table' and added.err then return added end
          code = 1
        end
        local acked = redis.pcall('XACK', key, group, id)
        if type(acked) == 'table' then return acked end
        return code
        """

    /// KEYS: the stream. ARGV: group, the last id that the consumer has seen or nothing, where to begin without one. Makes the group behind
    /// that id, or at the beginning when the stream has not come so far (any more). 1: made. 0: it is there.
    static let makeGroup = """
        local key, group, seen, start = KEYS[1], ARGV[1], ARGV[2], ARGV[3]
        local function less(a, b)
          local ams, as = a:match('^(%d+)%-(%d+)$')
          local bms, bs = b:match('^(%d+)%-(%d+)$')
          if ams == bms then ams, bms = as, bs end
          return #ams < #bms or #ams == #bms and ams < bms
        end
        local place = start
        if seen ~= '' then
          local info, last = redis.pcall('XINFO', 'STREAM', key), '0-0'
          if info.err then
            if info.err:find('WRONGTYPE', 1, true) or info.err:find('NOPERM', 1, true) then return info end
          else
            for i = 1, #info, 2 do
              if info[i] == 'last-generated-id' then last = info[i + 1] end
            end
          end
          place = less(last, seen) and '0' or seen
        end
        local made = redis.pcall('XGROUP', 'CREATE', key, group, place, 'MKSTREAM')
        if made.err then
          if made.err:find('BUSYGROUP', 1, true) then return 0 end
          return made
        end
        return 1
        """

    /// KEYS: the stream. ARGV: group, consumer that asks, idle ms, how many at most. Deletes the others that have nothing pending and were
    /// not seen for so long; answers how many.
    static let clean = """
        local key, group, me, idle, most = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
        local rows = redis.pcall('XINFO', 'CONSUMERS', key, group)
        if rows.err then return rows end
        local gone = 0
        for i = 1, #rows do
          local row = {}
          for at = 1, #rows[i], 2 do row[rows[i][at]] = rows[i][at + 1] end
          if gone < most and row.name ~= me and row.pending == 0 and row.idle >= idle then
            local removed = redis.pcall('XGROUP', 'DELCONSUMER', key, group, row.name)
            if type(removed) == 'table' then return removed end
            gone = gone + 1
          end
        end
        return gone
        """
}
