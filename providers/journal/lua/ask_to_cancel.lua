-- Whether there is a run of which its owner is to learn that it is to be cancelled.
if redis.call('EXISTS', key('run', ARGV[1])) == 0 then
    return 0
end
redis.call('HSET', key('run', ARGV[1]), 'cancel_asked', '1')
return 1
