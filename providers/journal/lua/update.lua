-- The line about a run of ours.
local id, owner, number = ARGV[1], ARGV[2], ARGV[3]
if is_owned(id, owner) and not is_made(id, owner, number) and not is_late(id, owner, number) then
    redis.call('HSET', key('run', id), 'summary', ARGV[4], 'state', ARGV[5], 'state_digest', ARGV[6], 'writes', number)
    note(id)
end
