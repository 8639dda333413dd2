// Puts a run of closed candles of one series into its history where they cannot simply be appended: they may be there already, there
// with other values, or older than the newest entry. Runs inside Redis, so it is atomic against other writers. Pure here: a text.
//
// A stream only grows at its end. So what lies behind the first change is deleted, the last id is set back, and the entries are appended
// again under their own ids with the changes among them; consumer groups and their pending entries do not notice, and their lag is put
// right. What that costs is bounded by what lies behind the first change, not by the history. Everything that can fail comes before the
// first deletion. It works alike on Redis 6.2 (which knows no lag), 7.0, 8.x and Valkey.

package enum MergeScript {
    /// KEYS: the history; its changes. ARGV: entries to keep of either, then for each candle, ascending, its id and the values of
    /// `CandleField` in order; empty values remove the entry. Behind the last one `NX` says that what is there stays as it is. Returns how
    /// many candles have changed the history.
    ///
    /// - Newer than anything ever appended → appended. Not there → inserted. There with other values → corrected, `revision` + 1. Older
    ///   than everything a full history keeps → passed over. What is inserted, corrected or removed is told in the changes.
    /// - `source` and `revision` make no other value, nor do trade ids that one side does not know (−1); known ones are kept.
    package static let source = """
        local key, changes, keep, most = KEYS[1], KEYS[2], tonumber(ARGV[1]), ARGV[2]
        local names = {\(names)}
        local call = redis.call
        local isOnlyNew = ARGV[#ARGV] == 'NX'
        local count = isOnlyNew and #ARGV - 1 or #ARGV

        local function map(list)
          local found = {}
          for i = 1, #list, 2 do found[list[i]] = list[i + 1] end
          return found
        end
        -- Ids are two numbers of 64 bits. Lua's numbers have 53: they are compared as texts.
        local function less(a, b)
          local ams, as = a:match('^(%d+)%-(%d+)$')
          local bms, bs = b:match('^(%d+)%-(%d+)$')
          if ams == bms then ams, bms = as, bs end
          return #ams < #bms or #ams == #bms and ams < bms
        end

        local info = call('EXISTS', key) == 1 and map(call('XINFO', 'STREAM', key)) or {length = 0}
        local last, added = info['last-generated-id'] or '0-0', info['entries-added']
        local first, newest = info['first-entry'], info['last-entry']
        first, newest = first and first[1], newest and newest[1]

        -- Each change: id, names and values (nil: removed), kind, revision, source.
        local ops, grown, isBack, before = {}, 0, false, '0-0'
        local here = {}
        if not less(last, ARGV[3]) then
          for _, entry in ipairs(call('XRANGE', key, ARGV[3], ARGV[count - #names])) do here[entry[1]] = entry[2] end
        end
        for at = 3, count, #names + 1 do
          local id, fields, kind = ARGV[at], {}, nil
          if not less(before, id) then return redis.error_reply('ERR the candles of a run must ascend') end
          before = id
          local stored = here[id]
          local old = stored and map(stored) or {}
          local revision, source = tonumber((old.revision or ''):match('^%d%d?%d?%d?%d?%d?%d?%d?%d?$')) or 0, old.source or ''
          if ARGV[at + 1] == '' then
            if stored then
              kind, fields, grown = 'removed', nil, grown - 1
              isBack = isBack or id == newest
            end
          elseif stored then
            local same = #stored == 2 * #names
            for i, name in ipairs(names) do
              local value, was = ARGV[at + i], old[name]
              if not was then
                same = false
              elseif name == 'first_trade_id' or name == 'last_trade_id' then
                if value == '-1' and was:match('^%d+$') then value = was elseif was ~= '-1' and was ~= value then same = false end
              elseif was ~= value and name ~= 'source' and name ~= 'revision' then
                same = false
              end
              fields[2 * i - 1], fields[2 * i] = name, value
            end
            if not same and not isOnlyNew then
              kind, revision, source = 'corrected', ('%d'):format(revision + 1), ARGV[at + #names - 1]
              fields[2 * #names] = revision
            end
          elseif not (first and info.length >= keep and less(id, first)) then
            for i, name in ipairs(names) do fields[2 * i - 1], fields[2 * i] = name, ARGV[at + i] end
            kind, grown = less(last, id) and 'appended' or 'inserted', grown + 1
            revision, source = ARGV[at + #names], ARGV[at + #names - 1]
          end
          if kind then ops[#ops + 1] = {id, fields, kind, revision, source} end
        end
        if #ops == 0 then return 0 end
        if ops[1][3] == 'appended' then
          for _, op in ipairs(ops) do call('XADD', key, 'MAXLEN', '~', keep, op[1], unpack(op[2])) end
          return #ops
        end

        -- What lies behind the first change: as it is, and as it shall be. The floor is the last entry in front of it.
        local behind = call('XRANGE', key, ops[1][1], '+')
        local floor = call('XREVRANGE', key, '(' .. ops[1][1], '-', 'COUNT', 1)[1]
        floor = floor and floor[1] or '0-1'
        local tail, next = {}, 1
        for _, entry in ipairs(behind) do
          -- Lua hands at most 8000 values to a command.
          if #entry[2] > 7000 then return redis.error_reply('ERR an entry behind the change has too many fields') end
          while ops[next] and less(ops[next][1], entry[1]) do
            tail[#tail + 1], next = ops[next], next + 1
          end
          if ops[next] and ops[next][1] == entry[1] then
            entry, next = ops[next], next + 1
          end
          if entry[2] then tail[#tail + 1] = entry end
        end
        for i = next, #ops do tail[#tail + 1] = ops[i] end
        local top = #tail > 0 and tail[#tail][1] or floor
        if not isBack and less(top, last) then top = last end

        -- A group's lag is the entries added less those it has read. Where somebody has deleted an entry, Redis does not know the lag any
        -- more or knows it wrongly (7.0): then what lies ahead of the group is counted, up to a bound.
        local groups, deleted, lowest = {}, info['max-deleted-entry-id'], nil
        local isWhole = deleted == '0-0' or deleted == '0-1'
        if info.groups and info.groups > 0 then groups = call('XINFO', 'GROUPS', key) end
        for i, group in ipairs(groups) do
          group = map(group)
          groups[i], group.place = group, group['last-delivered-id']
          if isBack and less(top, group.place) then group.place = top end
          group.isUnsure = added and less(group.place, floor) and not (group.lag and isWhole)
          if group.isUnsure and not (lowest and less(lowest, group.place)) then lowest = group.place end
        end
        local ahead = lowest and call('XREVRANGE', key, floor, '(' .. lowest, 'COUNT', \(countedMax)) or {}
        local isCounted = true
        for _, group in ipairs(groups) do
          local lag = group.lag and group.lag + grown
          if not less(group.place, floor) then
            lag = #tail
            while lag > 0 and not less(group.place, tail[#tail - lag + 1][1]) do lag = lag - 1 end
          elseif group.isUnsure and (#ahead < \(countedMax) or not less(group.place, ahead[#ahead][1])) then
            lag = #tail
            for _, entry in ipairs(ahead) do
              if not less(group.place, entry[1]) then break end
              lag = lag + 1
            end
          elseif group.isUnsure then
            isCounted = false
          end
          group.read = added and lag and math.max(0, added + grown - lag)
        end
        if isCounted or isWhole then deleted = '0-1' end
        if deleted and less(top, deleted) then deleted = top end

        -- From here on is written. First what changes nothing, to be refused before anything is deleted: memory, commands, the other key.
        call('XLEN', changes)
        call('XSETID', key, last)
        call('XDEL', key, '0-0')
        for _, op in ipairs(ops) do
          if op[3] ~= 'appended' then
            local told = {'open_time', op[1]:match('^%d+'), 'kind', op[3], 'revision', op[4], 'source', op[5]}
            call('XADD', changes, 'MAXLEN', '~', most, '*', unpack(told))
          end
        end
        for i = 1, #behind, 1000 do
          local ids = {}
          for j = i, math.min(i + 999, #behind) do ids[#ids + 1] = behind[j][1] end
          call('XDEL', key, unpack(ids))
        end
        -- The greatest deleted id forbids to set the last id back (7.2 and newer). 0-0 would be taken for not given.
        if added then call('XSETID', key, last, 'MAXDELETEDID', '0-1') end
        call('XSETID', key, floor)
        for i, entry in ipairs(tail) do
          if i < #tail then
            call('XADD', key, entry[1], unpack(entry[2]))
          else
            call('XADD', key, 'MAXLEN', '~', keep, entry[1], unpack(entry[2]))
          end
        end
        if added then
          call('XSETID', key, top, 'ENTRIESADDED', added + grown, 'MAXDELETEDID', deleted)
        else
          call('XSETID', key, top)
        end
        for _, group in ipairs(groups) do
          if group.read and (group.read ~= group['entries-read'] or group.place ~= group['last-delivered-id']) then
            call('XGROUP', 'SETID', key, group.name, group.place, 'ENTRIESREAD', group.read)
          elseif group.place ~= group['last-delivered-id'] then
            call('XGROUP', 'SETID', key, group.name, group.place)
          end
        end
        return #ops
        """

    /// Entries that are counted, at most, in front of a change for groups whose lag Redis does not know. With more it stays unknown.
    private static let countedMax = 1_000

    private static let names = CandleField.allCases.map { "'\($0.rawValue)'" }.joined(separator: ",")

    /// Behind the candles: those that are there stay as they are.
    static let onlyNew = RESP.bulk("NX")

    /// `EVALSHA sha 2 history changes keep keep`, up to the candles: for each its id and its values.
    /// - Parameters:
    ///   - isOnlyNew: `onlyNew` stands behind the candles.
    ///   - sha: the script's name in Redis's cache; nil sends the script itself.
    package static func head(
        _ series: Series, _ schema: KeySchema, history: Int, candles: Int, isOnlyNew: Bool = false, sha: String?
    ) -> [UInt8] {
        let arguments = 7 + candles * (1 + CandleField.allCases.count) + (isOnlyNew ? 1 : 0)
        let script = sha.map { RESP.bulk("EVALSHA") + RESP.bulk($0) } ?? RESP.bulk("EVAL") + RESP.bulk(source)
        let keys = RESP.bulk("2") + RESP.bulk(schema.historyKey(series)) + RESP.bulk(schema.changesKey(series))
        return Array("*\(arguments)\r\n".utf8) + script + keys + RESP.bulk(String(history)) + RESP.bulk(String(Limits.changesKeptMax))
    }
}
