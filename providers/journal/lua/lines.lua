-- Lines about runs: of the 'one' that is named, if there is one, of its 'children', or of the first so many of 'runs', of the 'runs of'
-- the keys that are named, '' for nobody, or of 'unfinished'.
local which, value, lines, ids = ARGV[1], ARGV[2], {}, nil

-- The newest runs of these keys, newest first.
local function newest(askers)
    local found = {}
    for _, asker in ipairs(askers) do
        local scored, stale
        repeat
            scored, stale = redis.call('ZREVRANGE', runs_of(asker), 0, value - 1, 'WITHSCORES'), false
            for i = 1, #scored, 2 do
                -- An older release puts every run that it writes among nobody's.
                if redis.call('EXISTS', key('run', scored[i])) == 0 or asker_of(scored[i]) ~= asker then
                    redis.call('ZREM', runs_of(asker), scored[i])
                    stale = true
                end
            end
        until not stale
        for i = 1, #scored, 2 do
            table.insert(found, {id = scored[i], started_at = tonumber(scored[i + 1])})
        end
    end
    table.sort(found, function(one, other)
        if one.started_at ~= other.started_at then
            return one.started_at > other.started_at
        end
        return one.id > other.id
    end)
    local first = {}
    for i = 1, math.min(#found, tonumber(value)) do
        table.insert(first, found[i].id)
    end
    return first
end

if which == 'one' then
    ids = {value}
elseif which == 'children' then
    ids = redis.call('SMEMBERS', key('children', value))
elseif which == 'runs' then
    local askers = redis.call('SMEMBERS', key('askers'))
    table.insert(askers, '')
    ids = newest(askers)
elseif which == 'runs of' then
    ids = newest({unpack(ARGV, 3)})
else
    ids = redis.call('ZRANGE', key('unfinished'), 0, -1)
end
for _, id in ipairs(ids) do
    local state = state_of(id)
    if state and (which ~= 'unfinished' or state == 'interrupted') then
        table.insert(lines, line(id))
    end
    if which == 'unfinished' and #lines >= tonumber(value) then
        break
    end
end
return lines
