-- Lines about runs: of the 'one' that is named, if there is one, of its 'children', or of the first so many of 'runs' or 'unfinished'.
local which, value, lines, ids = ARGV[1], ARGV[2], {}, nil
if which == 'one' then
    ids = {value}
elseif which == 'children' then
    ids = redis.call('SMEMBERS', key('children', value))
elseif which == 'runs' then
    ids = redis.call('ZREVRANGE', key('runs'), 0, value - 1)
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
