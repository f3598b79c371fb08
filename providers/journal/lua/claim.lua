-- Become the owner of a run: 'ok', 'owner gone' when nobody had given it up, 'missing', or 'under way'.
local id, owner, number, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local state = state_of(id)
if not state then
    return 'missing'
end
if is_made(id, owner, number) then
    return field(id, 'claimed')
end
if state == 'running' or is_late(id, owner, number) then
    return 'under way'
end
local claimed = field(id, 'state') == 'running' and 'owner gone' or 'ok'
redis.call('HSET', key('run', id), 'claimed', claimed, 'state', 'running', 'owner', owner, 'writes', number, 'lease_until', now(lease), 'cancel_asked', '0')
note(id)
return claimed
