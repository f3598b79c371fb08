-- A lease more for the runs of ours among these: those that are ours, each with whether its cancellation was asked for.
local owner, lease, ours = ARGV[1], ARGV[2], {}
for i = 3, #ARGV do
    if is_owned(ARGV[i], owner) then
        redis.call('HSET', key('run', ARGV[i]), 'lease_until', now(lease))
        table.insert(ours, {ARGV[i], field(ARGV[i], 'cancel_asked')})
    end
end
return ours
