-- A page of a run, unless the run was deleted.
if redis.call('EXISTS', key('run', ARGV[1])) == 1 then
    redis.call('HSETNX', key('pages', ARGV[1]), ARGV[2], ARGV[3])
end
