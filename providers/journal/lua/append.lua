-- The next event of a run of ours: 'ok', 'lost', or how many events there are when the sequence does not fit.
local id, owner, number, sequence = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
if not is_owned(id, owner) then
    return 'lost'
end
if is_made(id, owner, number) then
    return 'ok'
end
local events = redis.call('LLEN', key('events', id))
if events ~= sequence - 1 or is_late(id, owner, number) then
    return events
end
redis.call('RPUSH', key('events', id), ARGV[5])
redis.call('HSET', key('run', id), 'writes', number)
if ARGV[6] ~= '' then
    redis.call('HSET', key('run', id), 'summary', ARGV[6], 'state', ARGV[7])
end
note(id)
return 'ok'
