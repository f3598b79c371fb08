-- Delete a run that was last written before this time, unless it or one that works for it is under way or waits: 1 when it is gone.
local id, time = ARGV[1], tonumber(ARGV[2])
local written = redis.call('ZSCORE', key('written'), id)
if not written then
    return 1
end
local family = family_of(id)
if tonumber(written) >= time or state_of(id) == 'waiting' then
    return 0
end
for _, member in ipairs(family) do
    if state_of(member) == 'running' then
        return 0
    end
end
delete(family)
return 1
