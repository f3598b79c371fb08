-- A new run, whose events, pages and attachments lie under a name that nobody looks for: 'ok', or 'taken'.
local id, staged, owner, number, lease = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
if redis.call('EXISTS', key('run', id)) == 1 then
    redis.call('UNLINK', key('events', staged), key('pages', staged), key('attachments', staged))
    return is_made(id, owner, number) and 'ok' or 'taken'
end
for _, kind in ipairs({'events', 'pages', 'attachments'}) do
    redis.call('DEL', key(kind, id))
    if redis.call('EXISTS', key(kind, staged)) == 1 then
        redis.call('RENAME', key(kind, staged), key(kind, id))
        redis.call('PERSIST', key(kind, id))
    end
end
redis.call('HSET', key('run', id), 'owner', owner, 'writes', number, 'lease_until', now(lease), 'cancel_asked', '0',
    'parent', ARGV[6], 'background', ARGV[7], 'state', ARGV[8], 'started_at', ARGV[9], 'summary', ARGV[10], 'state_digest', ARGV[11],
    'asked_by', ARGV[12])
note(id)
return 'ok'
