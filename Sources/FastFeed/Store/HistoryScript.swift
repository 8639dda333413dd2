// What to do with a closed candle that cannot simply be appended: it may be there already, there with other
// values, or older than the newest entry. Runs inside Redis, so it is atomic against other writers. Pure here: a text.

package enum HistoryScript {
    /// KEYS[1] the stream; ARGV[1] open time, ARGV[2] entries to keep, then the fourteen names and values.
    /// Returns 0 when nothing had to be done, 1 appended or put in its place, 2 corrected (revision + 1),
    /// 3 older than everything a full history keeps.
    ///
    /// A stream only grows at its end, so for an entry in the middle it is emptied, its last id is set back, and all
    /// entries are appended again under their own ids; consumer groups live on. It is emptied by XTRIM, because
    /// after XDEL newer servers (7.2, Valkey) refuse to set the id back; where somebody else has used XDEL on the
    /// stream, it is made anew, which costs its groups but no candle. Everything that can fail comes before
    /// the first write.
    package static let source = """
        local key, id, keep = KEYS[1], ARGV[1] .. '-0', tonumber(ARGV[2])
        local fields = {}
        for i = 3, #ARGV do fields[#fields + 1] = ARGV[i] end
        local here = redis.call('XRANGE', key, id, id)[1]
        if here then
          local old, same, revision = here[2], #here[2] == #fields, 0
          for i = 1, #old, 2 do
            if old[i] == 'revision' then revision = tonumber(old[i + 1]) or 0
            elseif old[i] ~= 'source' and (old[i] ~= fields[i] or old[i + 1] ~= fields[i + 1]) then same = false end
          end
          if same then return 0 end
          fields[#fields] = tostring(revision + 1)
        end
        local before = redis.call('XRANGE', key, '-', '(' .. id)
        local after = redis.call('XRANGE', key, '(' .. id, '+')
        if not here and #before == 0 and #after >= keep then return 3 end
        if redis.call('EXISTS', key) == 1 then
          local info, deleted = redis.call('XINFO', 'STREAM', key), '0-0'
          for i = 1, #info, 2 do
            if info[i] == 'max-deleted-entry-id' then deleted = info[i + 1] end
          end
          if deleted == '0-0' then
            redis.call('XTRIM', key, 'MAXLEN', 0)
            redis.call('XSETID', key, '0-0')
          else
            redis.call('DEL', key)
          end
        end
        for _, entry in ipairs(before) do redis.call('XADD', key, entry[1], unpack(entry[2])) end
        redis.call('XADD', key, id, unpack(fields))
        for _, entry in ipairs(after) do redis.call('XADD', key, entry[1], unpack(entry[2])) end
        redis.call('XTRIM', key, 'MAXLEN', '~', keep)
        return here and 2 or 1
        """

    /// `EVAL script 1 key open keep`, up to the fields: 6 + 28 arguments.
    package static func head(key: String, history: Int, openTimeMs: Int64) -> [UInt8] {
        Array("*34\r\n".utf8) + RESP.bulk("EVAL") + RESP.bulk(source) + RESP.bulk("1") + RESP.bulk(key)
            + RESP.bulk(String(openTimeMs)) + RESP.bulk(String(history))
    }
}
